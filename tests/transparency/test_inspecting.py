"""Whatever is done to a log, the first bad record is named, and what was done to it."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.transparency.checkpoints import Checkpoint, LogKeys
from otp_service.transparency.findings import Finding, Tampering
from otp_service.transparency.inspecting import inspect, judge_older
from otp_service.transparency.tree import MemoryHashes, Tree, leaf_hash

from .signing import SmallLog

COUNT = 900
LOG = SmallLog(COUNT)
KEYS = LogKeys(LOG.signer.key)
CHECKPOINTS = [KEYS.verify(LOG.checkpoint(size)) for size in (1, 200, 256, 600, 850)]


def tiles_of(hashes: list[bytes]) -> Callable[[int], list[bytes]]:
    """Reads the tiles over these leaf hashes."""
    return lambda number: hashes[number * 256 : number * 256 + 256]


def found(leaves: list[bytes], hashes: list[bytes] | None = None) -> Finding | None:
    """What the inspection finds in these records, with the tiles over the true ones or over these hashes."""
    return inspect(leaves, tiles_of(LOG.hashes if hashes is None else hashes), CHECKPOINTS, 850)


def test_a_whole_log_is_good() -> None:
    """Also one with records that no checkpoint has yet, and an empty one."""
    assert found(LOG.leaves) is None
    assert found(LOG.leaves[:850]) is None
    assert inspect([], tiles_of([]), [KEYS.verify(SmallLog(0).checkpoint())], 0) is None


def test_checkpoints_are_read_when_the_tree_has_reached_the_one_before() -> None:
    """Each after no more than a tile of records: a log of years has more checkpoints than fit into memory."""
    read, most_ahead = 0, 0

    def leaves() -> Iterator[bytes]:
        nonlocal read, most_ahead
        for leaf in LOG.leaves:
            read += 1
            yield leaf

    def checkpoints() -> Iterator[Checkpoint]:
        nonlocal most_ahead
        for size in range(1, 851):
            most_ahead = max(most_ahead, size - read)
            yield Checkpoint("o", size, LOG.tree.root(size))

    assert inspect(leaves(), tiles_of(LOG.hashes), checkpoints(), 850) is None
    assert most_ahead <= 1


@settings(max_examples=12)
@given(at=st.integers(0, 848), other=st.integers(0, 848), count=st.integers(1, 5))
def test_the_first_bad_record_is_named(at: int, other: int, count: int) -> None:
    """Records changed by somebody who does not change the tiles."""
    leaves = LOG.leaves

    def told(changed: list[bytes]) -> tuple[Tampering, int | None] | None:
        finding = found(changed)
        return None if finding is None else (finding.kind, finding.seq)

    assert told([*leaves[:at], b"{}", *leaves[at + 1 :]]) == (Tampering.EDITED, at + 1)
    assert told([*leaves[:at], *leaves[at + count :]]) == (Tampering.REMOVED, at + 1)
    inserted = [b'{"in":%d}' % number for number in range(count)]
    assert told([*leaves[:at], *inserted, *leaves[at:]]) == (Tampering.INSERTED, at + 1)
    assert told(leaves[:at]) == (Tampering.CUT, at + 1)
    low, high = sorted((at, other))
    if low != high and high - low < 200:
        swapped = [*leaves]
        swapped[low], swapped[high] = leaves[high], leaves[low]
        assert told(swapped) == (Tampering.SWAPPED, low + 1)


@pytest.mark.parametrize(
    ("at", "first"), [(0, 1), (199, 2), (200, 201), (255, 201), (256, 257), (620, 601), (849, 601)]
)
def test_tiles_that_were_changed_too_help_nobody(at: int, first: int) -> None:
    """The checkpoints say between which sizes; the records' numbers say what, unless one was edited."""
    edited = [*LOG.leaves[:at], b'{"seq":%d,"x":1}' % (at + 1), *LOG.leaves[at + 1 :]]
    removed = [*LOG.leaves[:at], *LOG.leaves[at + 1 :]]
    for leaves, kind, seq in ((edited, Tampering.EDITED, first), (removed, Tampering.REMOVED, at + 1)):
        finding = found(leaves, [leaf_hash(leaf) for leaf in leaves])
        assert finding is not None
        assert (finding.kind, finding.seq) == (kind, seq), finding
    halved = found(edited, [])
    assert halved is not None


def test_a_log_that_forgot_or_rewrote_is_found_by_an_older_checkpoint() -> None:
    """Rolled back with its own checkpoints, cut without them, or with another history."""
    tree, kept = LOG.tree, CHECKPOINTS[-1]
    assert judge_older(CHECKPOINTS[2], kept, COUNT, tree) is None
    rolled = judge_older(kept, CHECKPOINTS[2], 300, tree)
    assert rolled is not None
    assert (rolled.kind, rolled.seq) == (Tampering.ROLLED_BACK, 257)
    cut = judge_older(kept, kept, 300, tree)
    assert cut is not None
    assert cut.kind is Tampering.CUT
    other = SmallLog(COUNT)
    other.leaves[3] = b"other"
    for size in (kept.size, COUNT):
        forked = judge_older(kept, KEYS.verify(other.checkpoint(size)), COUNT, other.tree)
        assert forked is not None
        assert forked.kind is Tampering.FORKED


@pytest.mark.parametrize(("count", "level", "begin", "end"), [(1_000, 0, 256, 512), (65_546, 1, 0, 1)])
def test_stored_tiles_that_no_root_needs_hide_no_fork(count: int, level: int, begin: int, end: int) -> None:
    """Tiles of the true log, put where the forged log's newest root does not lead: an older size has its old root."""
    true = SmallLog(count)
    hashes = true.hashes
    forged = [*hashes]
    forged[259 if level == 0 else 4] = leaf_hash(b"forged")
    good, planted = MemoryHashes(hashes), MemoryHashes(forged)
    older = Checkpoint("o", 300, Tree(good).root(300))
    newest = Checkpoint("o", count, Tree(planted).root(count))
    planted._levels[level][begin:end] = good._levels[level][begin:end]
    tree = Tree(planted)
    assert (tree.root(300), tree.root(count)) == (older.root, newest.root), "so far nothing shows"
    found = judge_older(older, newest, count, tree)
    assert found is not None
    assert found.kind is Tampering.FORKED
    assert judge_older(older, Checkpoint("o", count, Tree(good).root(count)), count, Tree(good)) is None
