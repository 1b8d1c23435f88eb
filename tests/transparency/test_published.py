"""A log as it is published, or a range of it: the first record that is not as it was signed is named."""

from collections.abc import Callable

import pytest

from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.findings import Tampering
from otp_service.transparency.notes import NoteError, VerifierKey
from otp_service.transparency.published import NothingToVerify, PublishedReport, verify_published
from otp_service.transparency.tiles import entry_bundle
from otp_service.transparency.tree import TILE_WIDTH, MemoryHashes

from .signing import SmallLog, signer

SIZE = 70_000
"""So three levels have tiles, two of them full ones."""

LOG = SmallLog(SIZE)
HASHES = MemoryHashes(LOG.hashes)
NOTE = LOG.checkpoint()
READ = 5
"""What a range of one tile needs besides its records: the last tiles of three levels, its own, and the one above."""


class Shown:
    """What is shown of the log. `records` may be changed; `changed` are tiles that are shown in place of the right."""

    def __init__(self, note: str = NOTE) -> None:
        self.note = note
        self.records: list[bytes] | None = None
        self.changed: dict[tuple[int, int], Callable[[bytes], bytes]] = {}
        self.read: list[tuple[int, int]] = []

    def checkpoint(self) -> str | None:
        """The newest checkpoint."""
        return self.note or None

    def keys(self) -> tuple[str | None, list[str]]:
        """The log's keys."""
        return str(LOG.signer.key), []

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile."""
        self.read.append((level, number))
        start = number * TILE_WIDTH
        right = b"".join(HASHES.read(level, start, start + width))
        change = self.changed.get((level, number))
        return change(right) if change else right

    def entries(self, number: int, width: int) -> bytes:
        """The records of a tile."""
        records = LOG.leaves if self.records is None else self.records
        raw = entry_bundle(records[number * TILE_WIDTH : number * TILE_WIDTH + width])
        change = self.changed.get((-1, number))
        return change(raw) if change else raw

    def verify(self, first: int = 1, last: int | None = None, *older: str) -> PublishedReport:
        """Verify it under the right key."""
        kept = [read_checkpoint(one)[1] for one in older]
        return verify_published(self, LOG.signer.key, (first, last), kept)


def found(report: PublishedReport) -> tuple[Tampering, int | None] | None:
    """The finding, without its sentence."""
    return None if report.finding is None else (report.finding.kind, report.finding.seq)


def test_a_good_log() -> None:
    """Whole, and a range of which little else is read; with progress, and against checkpoints that were kept."""
    seen: list[tuple[int, int]] = []
    report = verify_published(Shown(), None, (1, None), progress=lambda *at: seen.append(at))
    assert (report.first, report.last, report.size, found(report)) == (1, SIZE, SIZE, None)
    assert (report.key, seen[0], seen[-1]) == (LOG.signer.key, (TILE_WIDTH, SIZE), (SIZE, SIZE))
    shown = Shown()
    report = shown.verify(60_000, 60_010)
    assert (report.first, report.last, report.finding, len(shown.read)) == (60_000, 60_010, None, READ)
    kept = [LOG.checkpoint(size) for size in (0, 1, 256, 65_536, 65_537, SIZE)]
    assert Shown().verify(1, 1, *kept).finding is None


@pytest.mark.parametrize("at", [0, 255, 256, 65_536, 69_900])
def test_what_was_done_is_named(at: int) -> None:
    """Edited, removed, inserted and swapped, at the edges of tiles and elsewhere; of others nothing is said."""
    changes: list[tuple[Callable[[list[bytes]], object], Tampering]] = [
        (lambda leaves: leaves.__setitem__(at, b'{"seq":%d,"x":1}' % (at + 1)), Tampering.EDITED),
        (lambda leaves: leaves.pop(at), Tampering.REMOVED),
        (lambda leaves: leaves.insert(at, b'{"seq":1,"x":2}'), Tampering.INSERTED),
        (lambda leaves: leaves.insert(at, leaves.pop(at + 3)), Tampering.SWAPPED),
    ]
    for change, kind in changes:
        shown = Shown()
        shown.records = list(LOG.leaves)
        change(shown.records)
        assert found(shown.verify(at + 1, min(SIZE, at + 400))) == (kind, at + 1)
        if at:
            assert shown.verify(max(1, at - 300), at).finding is None


def test_a_log_that_was_cut() -> None:
    """Records that were signed are not shown."""
    shown = Shown()
    shown.records = LOG.leaves[:69_000]
    assert found(shown.verify(68_000)) == (Tampering.CUT, 69_001)
    assert shown.verify(68_000, 69_000).finding is None


@pytest.mark.parametrize(
    ("tile", "first", "seq"),
    [((0, 5), 1_281, 1_281), ((1, 0), 1, 1), ((0, 273), 69_990, None), ((1, 1), 1, None), ((2, 0), 1, None)],
)
@pytest.mark.parametrize("change", [lambda raw: bytes([raw[0] ^ 1]) + raw[1:], lambda raw: raw[:-1], lambda _: b""])
def test_tiles_that_were_changed(
    tile: tuple[int, int], first: int, seq: int | None, change: Callable[[bytes], bytes]
) -> None:
    """The signed root proves each tile on the way, so records that fit changed tiles help nobody."""
    shown = Shown()
    shown.changed[tile] = change
    assert found(shown.verify(first, first)) == (Tampering.EDITED, seq)


def test_records_that_cannot_be_read() -> None:
    """A tile of records that was cut within one."""
    shown = Shown()
    shown.changed[-1, 3] = lambda raw: raw[:-1]
    assert found(shown.verify(1_000, 1_000)) == (Tampering.UNREADABLE, 1_000)


def test_checkpoints_that_were_kept() -> None:
    """Rolled back and forked, proved by hashes that the signed root has, whatever tiles are shown."""
    other = SmallLog(300)
    other.leaves[7] = b"another"
    assert found(Shown().verify(1, 1, other.checkpoint())) == (Tampering.FORKED, None)
    shorter = Shown(LOG.checkpoint(65_536))
    assert found(shorter.verify(1, 1, LOG.checkpoint(65_537))) == (Tampering.ROLLED_BACK, 65_537)
    shown = Shown()
    shown.changed[2, 0] = lambda _: b""
    assert found(shown.verify(1, 1, LOG.checkpoint(65_537))) == (Tampering.UNREADABLE, None)


def test_who_signed() -> None:
    """Another key's log is that of another, and without a checkpoint there is nothing."""
    assert found(verify_published(Shown(LOG.checkpoint(9, by=signer(9))), LOG.signer.key, (1, None))) == (
        Tampering.FOREIGN_SIGNATURE,
        None,
    )
    with pytest.raises(NothingToVerify, match="no checkpoint"):
        Shown("").verify()
    with pytest.raises(NothingToVerify, match="not those from 5 to 70001"):
        Shown().verify(5, SIZE + 1)
    with pytest.raises(NoteError):
        verify_published(Shown("nothing"), VerifierKey.parse(str(LOG.signer.key)), (1, None))
    assert Shown(SmallLog(0).checkpoint()).verify().finding is None
