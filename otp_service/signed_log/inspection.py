"""Verifying a ledger: its records, the columns by which they are found, tiles, checkpoints and who signed them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from ..clock import rfc3339
from ..ledger.database import Database
from ..ledger.tables import PERSONS, POSITIONS, RECORDS, WEBHOOKS
from ..transparency.checkpoints import Checkpoint, LogKeys
from ..transparency.findings import Finding, Tampering
from ..transparency.inspecting import inspect, judge_older
from ..transparency.published import within
from ..transparency.ranges import inspect_range
from ..transparency.signed_tiles import SignedTiles, TileRefused
from ..transparency.tiles import hashes_of
from ..transparency.tree import HASH_BYTES, TILE_WIDTH, Tree, leaf_hash
from .beside_checkpoints import checkpoint_rows_fault, log_row_fault, others_fault, tiles_fault
from .beside_records import (
    WHOLE_HASH,
    alone_fault,
    configuration_fault,
    erasures_fault,
    event_rows_fault,
    known_gaps,
    migration_fault,
    size_fault,
)
from .judged_checkpoints import JudgedCheckpoints
from .log_store import LogStore
from .personal import Beside, Opening, PersonalParts, Webhook
from .stored_tiles import StoredTiles
from .stream_order import StreamOrder
from .told import erased_at_most

PORTION = 2_000
Progress = Callable[[int, int], object]
_REPEATED = ("leaf_hash", "shard", "at_ms", "type", "app", "verification", "delivery", "message_id")
_COLUMNS = ("seq", "leaf", *_REPEATED, "number_hash", "person")
_LAST_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified: how many records there are and are signed, and the first thing that is wrong.

    `erased`: records whose personal part was erased, which breaks nothing; `unopened`: those whose personal part was
    sealed with a key that the keyring has not. `span`: the first and last record, if not all were verified.
    """

    records: int
    signed: int
    checkpoints: int
    erased: int
    unopened: int
    finding: Finding | None
    span: tuple[int, int] | None = None


Span = tuple[int, int | None]
"""The numbers of the first and the last record that are verified; None for the last that is signed."""


def verify_ledger(
    database: Database,
    keys: LogKeys,
    opening: Opening,
    older: Sequence[Checkpoint] = (),
    *,
    progress: Progress = lambda _done, _total: None,
    span: Span | None = None,
) -> Report:
    """Verify everything that is signed, or the records of `span`, and what stands beside it.

    `older`: checkpoints that somebody kept elsewhere. Raises LedgerUnavailable, and NothingToVerify where the records
    of `span` are not signed.
    """
    with database.reading() as connection:
        checkpoints = JudgedCheckpoints(LogStore(connection).notes, keys)
        finding, signed = checkpoints.finding, checkpoints.size
        records = int(connection.execute(select(func.count()).select_from(RECORDS)).scalar_one())
        persons = PersonalParts(connection, opening)
        tiles = StoredTiles(connection)
        newest = checkpoints.newest
        asked = None if span is None or finding or newest is None else within(span, signed)
        rows = _Rows(connection, persons, (records, signed), progress, asked)
        if finding is None and asked is None:
            leaves = rows.leaves()
            finding = inspect(leaves, lambda number: _hashes(tiles, number), checkpoints.by_size(), signed)
            # Those that are not signed yet have to agree with themselves.
            deque(leaves if finding is None else (), maxlen=0)
        elif finding is None and newest is not None and asked is not None:
            finding = _in_range(rows, tiles, newest, asked, progress)
        finding = rows.sooner(finding) or _tiles_fault(Tree(tiles), newest)
        finding = finding or _judge_older(older, newest, records, Tree(tiles))
        finding = finding or _unsigned(records, newest)
        finding = finding or _too_many_erased(connection, persons.erased)
        if finding is None and asked is None:
            finding = _beside(connection, rows, signed)
        return Report(records, signed, checkpoints.count, persons.erased, persons.unopened, finding, asked)


def _in_range(
    rows: "_Rows", tiles: StoredTiles, newest: Checkpoint, asked: tuple[int, int], progress: Progress
) -> Finding | None:
    """Against the tiles, which the newest checkpoint proves: of all other records nothing is read."""

    def fetch(level: int, number: int, width: int) -> bytes:
        return tiles.tile(level, number)[: width * HASH_BYTES]

    try:
        return inspect_range(rows.in_tile, SignedTiles(newest, fetch), *asked, progress)
    except TileRefused as error:
        return Finding(Tampering.EDITED, None, f"the stored tiles are not those that were signed: {error}")


def _hashes(tiles: StoredTiles, number: int) -> list[bytes]:
    """Those of a tile of leaves. Of one that ends within a hash, the whole ones: the next is missing then."""
    stored = tiles.tile(0, number)
    return hashes_of(stored[: len(stored) - len(stored) % HASH_BYTES])


def _tiles_fault(tree: Tree, newest: Checkpoint | None) -> Finding | None:
    """What is wrong with the tiles above the leaves: with them the newest checkpoint has another root, or none."""
    try:
        if newest is None or tree.root(newest.size) == newest.root:
            return None
    except (LookupError, ValueError):
        return Finding(Tampering.UNREADABLE, None, "stored tiles are missing or cannot be read")
    return Finding(Tampering.EDITED, None, "the stored tiles are not those that were signed")


def _judge_older(older: Sequence[Checkpoint], newest: Checkpoint | None, records: int, tree: Tree) -> Finding | None:
    found = (judge_older(one, newest, records, tree) for one in older)
    return next((one for one in found if one is not None), None)


class _Rows:
    """The rows in order of their numbers. Notes the first whose columns are not what its bytes say."""

    def __init__(
        self,
        connection: Connection,
        persons: PersonalParts,
        sizes: tuple[int, int],
        progress: Progress,
        asked: tuple[int, int] | None = None,
    ) -> None:
        """`sizes`: how many records there are, and how many are signed."""
        self._connection = connection
        self._persons = persons
        self._total, self._signed = sizes
        self._progress = progress
        self._asked = asked or (1, self._total)
        self._finding: Finding | None = None
        self.policies: dict[str, int] = {}
        from_first = self._asked[0] <= 1
        self.order = StreamOrder(known_gaps(connection), self._counter_before, from_first=from_first)
        self.last = self.persons_found = self.webhooks_found = 0

    def leaves(self) -> Iterator[bytes]:
        done, last = 0, 0
        while rows := self._portion(last):
            for row in rows:
                self._judge(row)
                self._count(row)
                yield _raw(row.leaf)
            done, last = done + len(rows), rows[-1].seq
            self._progress(done, self._total)

    def in_tile(self, number: int, width: int) -> list[bytes]:
        """Those of the tile with this number, without a gap where one is missing. Those asked for are judged."""
        first = number * TILE_WIDTH + 1
        rows = [row for row in self._portion(first - 1, width) if row.seq < first + width]
        for row in rows:
            if self._asked[0] <= row.seq <= self._asked[1]:
                self._judge(row)
        return [_raw(row.leaf) for row in rows]

    def _judge(self, row: Any) -> None:
        if self._finding is not None:
            return
        seq, missing = row[0], self.last + 1
        if seq > max(self._signed, missing):
            # Of those that are signed the tree tells it.
            self._finding = Finding(Tampering.REMOVED, missing, f"record {missing} was removed: record {seq} follows")
        elif fault := _fault(row, self._persons, self.policies, self._signed) or self._order_fault(row):
            self._finding = Finding(Tampering.EDITED, seq, f"record {seq} was edited: {fault}")

    def _order_fault(self, row: Any) -> str | None:
        return self.order.fault(row[0], row[3], row[4], row[-1])

    def _count(self, row: Any) -> None:
        self.last = row[0]
        self.persons_found += row.person == row[0] and row.sealed is not None
        self.webhooks_found += row.sealed_webhook is not None

    def _counter_before(self, seq: int, shard: int, at_ms: int) -> int | None:
        same = (RECORDS.c.shard == shard, RECORDS.c.at_ms == at_ms, RECORDS.c.seq.between(1, seq - 1))
        wanted = select(RECORDS.c.counter).where(*same).order_by(RECORDS.c.seq.desc()).limit(1)
        found = self._connection.execute(wanted).scalar()
        return found if isinstance(found, int) else None

    def _portion(self, last: int, most: int = PORTION) -> Sequence[Any]:
        webhook = (WEBHOOKS.c.at_ms, WEBHOOKS.c.number_hash, WEBHOOKS.c.sealed.label("sealed_webhook"))
        beside = (PERSONS.c.number_hash, PERSONS.c.sealed, *webhook, RECORDS.c.counter)
        wanted = select(*(RECORDS.c[name] for name in _COLUMNS), *beside)
        joined = wanted.join_from(RECORDS, PERSONS, RECORDS.c.person == PERSONS.c.id, isouter=True)
        joined = joined.outerjoin(WEBHOOKS, RECORDS.c.seq == WEBHOOKS.c.seq)
        behind = joined.where(RECORDS.c.seq > last).order_by(RECORDS.c.seq).limit(most)
        return self._connection.execute(behind).all()

    def sooner(self, finding: Finding | None) -> Finding | None:
        """Of two findings that of the tree, which says more, unless the other comes first."""
        own = self._finding
        if own is None or finding is None:
            return finding or own
        return own if finding.seq is not None and (own.seq or 0) < finding.seq else finding


class _Detail(msgspec.Struct):
    message_id: Any = None

    @property
    def column(self) -> str | None:
        return self.message_id if isinstance(self.message_id, str) else None


class _Says(msgspec.Struct):
    """What a record says of itself, as far as columns repeat it."""

    seq: Any
    shard: int
    at: str
    type: str
    app: str | None
    verification_id: str | None
    delivery_id: str | None
    person: str | None
    detail: _Detail
    webhook: str | None = None
    policy: Any = None


_read = msgspec.json.Decoder(_Says).decode


def _fault(row: Any, persons: PersonalParts, policies: dict[str, int], signed: int) -> str | None:
    """Which column differs from the record's bytes, or from what these commit to.

    `policies` takes the first record that names each configuration by its whole hash: the ledger had that one.
    """
    seq, leaf, digest, shard, at_ms, kind, app, verification, delivery, message_id, *beside = row
    personal, kept = beside[:4], beside[4:7]
    try:
        says = _read(leaf)
        named = (f"vrf_{verification}" if verification else None, delivery, message_id)
        stands = (digest, shard, _at(at_ms), kind, app, *named)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
        return "it cannot be read"
    named = (says.verification_id, says.delivery_id, says.detail.column)
    told = (leaf_hash(_raw(leaf)), says.shard, says.at, says.type, says.app, *named)
    if isinstance(says.policy, str) and len(says.policy) == WHOLE_HASH:
        policies.setdefault(says.policy, seq)
    if seq > signed and says.seq != seq:
        return "its number is not the one that it says"
    if told == stands:
        return persons.fault(says.person, Beside(verification, *personal)) or persons.webhook_fault(
            says.webhook, Webhook(at_ms, personal[0], *kept)
        )
    differing = (name for name, one, other in zip(_REPEATED, told, stands, strict=True) if one != other)
    return next((f"the column {name} is not what was signed" for name in differing), None)


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return rfc3339(second * 1000, "seconds").removesuffix("Z")


def _at(at_ms: int) -> str:
    """As records have it; times beyond the calendar have its end."""
    try:
        return f"{_second(at_ms // 1000)}.{at_ms % 1000:03}Z"
    except (OverflowError, ValueError):
        return rfc3339(_LAST_MS)


def _raw(stored: Any) -> bytes:
    # A column of SQLite takes what it is given, whoever gives it.
    return stored if isinstance(stored, bytes) else str(stored).encode()


def _unsigned(records: int, newest: Checkpoint | None) -> Finding | None:
    """Without a checkpoint nothing was compared with anything: the tables may have been emptied."""
    if newest is not None or not records:
        return None
    return Finding(Tampering.UNSIGNED, None, f"{records} records are here, and no checkpoint that counts is of them")


def _too_many_erased(connection: Connection, erased: int) -> Finding | None:
    """The table of erasures is not signed, and its rows name nobody: what counts is the number in signed events."""
    told = erased_at_most(connection) if erased else None
    if told is None or erased <= told:
        return None
    sentence = f"what identifies the person is missing from {erased} records, and erasures from {told} are on record"
    return Finding(Tampering.EDITED, None, sentence)


def _beside(connection: Connection, rows: "_Rows", signed: int) -> Finding | None:
    """What no record repeats, and rows that belong to no record. The records and the checkpoints are good."""
    return (
        configuration_fault(connection, rows.policies)
        or size_fault(connection, rows.last)
        or alone_fault(connection, rows.persons_found, rows.webhooks_found)
        or _positions_fault(connection, rows.order)
        or event_rows_fault(connection)
        or erasures_fault(connection)
        or migration_fault(connection)
        or log_row_fault(connection)
        or checkpoint_rows_fault(connection)
        or tiles_fault(connection, signed)
        or others_fault(connection)
    )


def _positions_fault(connection: Connection, order: StreamOrder) -> Finding | None:
    rows = connection.execute(select(POSITIONS.c.shard, POSITIONS.c.entry, POSITIONS.c.counted)).all()
    edited = (fault for row in rows if (fault := order.position_fault(*row)) is not None)
    if (fault := next(edited, None)) is not None:
        return Finding(Tampering.EDITED, None, fault)
    missing = order.without_position(row.shard for row in rows)
    return None if missing is None else Finding(Tampering.REMOVED, None, f"the position of shard {missing} was removed")
