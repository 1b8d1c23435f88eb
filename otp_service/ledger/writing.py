"""Appending to the ledger: rows, positions and gaps in one transaction, only if nobody else has appended meanwhile."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from ..domain.audit import Event
from ..domain.continuity import Reached
from .database import Database
from .records import RecordEncoder
from .tables import CONFIGURATIONS, GAPS, LEDGER, PERSONS, POSITIONS, RECORDS, WEBHOOKS


@dataclass(frozen=True, slots=True)
class State:
    """How many records there are, and how far each shard's stream was read."""

    size: int
    reached: Mapping[int, Reached]
    policies: frozenset[str] = field(default=frozenset(), compare=False)
    """Hashes of the configurations that are known."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Where the record has a gap. `id`: the same for the same gap."""

    id: str
    at_ms: int
    detail: Mapping[str, int | str]


def gap_id(detail: Mapping[str, Any]) -> str:
    """The id of a gap with this detail."""
    return ":".join(str(detail.get(name)) for name in ("shard", "ledger_last", "store_last", "store_count"))


def state(database: Database) -> State:
    """As it is now. Raises LedgerUnavailable."""
    with database.reading() as connection:
        return _state(connection)


def _state(connection: Connection, *, locked: bool = False) -> State:
    wanted = select(LEDGER.c.size)
    size = connection.execute(wanted.with_for_update() if locked else wanted).scalar_one()
    rows = connection.execute(select(POSITIONS.c.shard, POSITIONS.c.entry, POSITIONS.c.counted))
    policies = frozenset(connection.execute(select(CONFIGURATIONS.c.hash)).scalars())
    return State(int(size), {shard: Reached(entry, counted) for shard, entry, counted in rows}, policies)


def append(
    database: Database,
    encoder: RecordEncoder,
    before: State,
    events: Sequence[Event],
    reached: Mapping[int, Reached],
    *,
    gaps: Sequence[Gap] = (),
) -> State | None:
    """Append the events and move the positions; the state after that, None if it was not `before` any more.

    Raises LedgerUnavailable; then nothing was appended.
    """
    encoded = encoder.encode(events, before.size + 1, before.policies)
    policies = before.policies | set(encoded.configurations)
    after = State(before.size + len(events), {**before.reached, **reached}, policies)
    with database.writing() as connection:
        if _state(connection, locked=True) != before:
            return None
        if encoded.records:
            connection.execute(insert(RECORDS), encoded.records)
            connection.execute(update(LEDGER).values(size=after.size))
        if encoded.persons:
            connection.execute(insert(PERSONS), encoded.persons)
        if encoded.webhooks:
            connection.execute(insert(WEBHOOKS), encoded.webhooks)
        for name in policies - before.policies:
            connection.execute(insert(CONFIGURATIONS).values(hash=name, content=encoded.configurations[name]))
        _move(connection, before, reached)
        for gap in gaps:
            _note(connection, gap)
    return after


def _move(connection: Connection, before: State, reached: Mapping[int, Reached]) -> None:
    for shard, one in reached.items():
        values = {"entry": one.entry, "counted": one.counted}
        if shard in before.reached:
            connection.execute(update(POSITIONS).where(POSITIONS.c.shard == shard).values(values))
        else:
            connection.execute(insert(POSITIONS).values(shard=shard, **values))


def _note(connection: Connection, gap: Gap) -> None:
    known = connection.execute(select(GAPS.c.id).where(GAPS.c.id == gap.id)).first()
    if known is None:
        connection.execute(insert(GAPS).values(id=gap.id, at_ms=gap.at_ms, detail=json.dumps(gap.detail), recorded=0))


def unrecorded(database: Database) -> list[Gap]:
    """Gaps that have no event yet. Raises LedgerUnavailable."""
    return _gaps(database, recorded=0)


def _gaps(database: Database, **wanted: int | None) -> list[Gap]:
    query = select(GAPS.c.id, GAPS.c.at_ms, GAPS.c.detail).order_by(GAPS.c.at_ms)
    for name, value in wanted.items():
        query = query.where(GAPS.c[name].is_(None) if value is None else GAPS.c[name] == value)
    with database.reading() as connection:
        return [Gap(id_, at_ms, json.loads(detail)) for id_, at_ms, detail in connection.execute(query)]


def mark_recorded(database: Database, gap: Gap) -> None:
    """Its event is on its way. Raises LedgerUnavailable."""
    with database.writing() as connection:
        connection.execute(update(GAPS).where(GAPS.c.id == gap.id).values(recorded=1))


def open_gaps(database: Database) -> list[Gap]:
    """Gaps that nobody has accepted yet, oldest first. Raises LedgerUnavailable."""
    return _gaps(database, accepted_ms=None)


def accept_gaps(database: Database, now_ms: int) -> int:
    """Somebody has looked at the gaps and knows why; how many there were. Raises LedgerUnavailable."""
    with database.writing() as connection:
        waiting = connection.execute(select(func.count()).where(GAPS.c.accepted_ms.is_(None))).scalar_one()
        connection.execute(update(GAPS).where(GAPS.c.accepted_ms.is_(None)).values(accepted_ms=now_ms))
        return int(waiting)
