"""Pages of the ledger for readers of the record: in order of time, by any filter, each with an index of its own."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, func, not_, or_, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..domain.audit import OF_SUBJECT, Event, EventField, Position
from ..domain.continuity import Reached
from ..domain.errors import KeyUnknown, SealBroken
from ..domain.ids import VERIFICATION_PREFIX
from ..domain.record_page import LedgerPage
from .database import Database
from .records import GREATEST, OF_NUMBER, PERSONAL
from .tables import PERSONS, POSITIONS, RECORDS

_COLUMNS = {
    EventField.APP: RECORDS.c.app,
    EventField.TYPE: RECORDS.c.type,
    EventField.VERIFICATION: RECORDS.c.verification,
    EventField.DELIVERY: RECORDS.c.delivery,
    EventField.NUMBER_HASH: RECORDS.c.number_hash,
    EventField.MESSAGE: RECORDS.c.message_id,
}
_TELLING = (EventField.DELIVERY, EventField.VERIFICATION, EventField.MESSAGE, EventField.NUMBER_HASH)
"""Filters that few records pass, those of the fewest first."""

_SHOWN = (
    RECORDS.c.seq,
    RECORDS.c.shard,
    RECORDS.c.at_ms,
    RECORDS.c.counter,
    RECORDS.c.leaf,
    RECORDS.c.number_hash,
    RECORDS.c.person,
)
AT_ONCE = 1_000
"""Rows of which what identifies somebody is read at once."""

_ORDER = ("at_ms", "counter", "shard")


class LedgerPages:
    """Reads pages. `unseal` opens what identifies somebody; may raise KeyUnknown and SealBroken."""

    def __init__(self, database: Database, unseal: Callable[[str], bytes]) -> None:
        self._database = database
        self._unseal = unseal

    def read(
        self,
        positions: Sequence[Position],
        *,
        shards: Sequence[int],
        until_ms: int | None,
        limit: int,
        wanted: Mapping[str, frozenset[str]],
    ) -> LedgerPage:
        """Up to `limit` events after the positions, and how far each stream is in the ledger.

        Raises LedgerUnavailable.
        """
        with self._database.reading() as connection:
            apps = partial(apps_of, connection)
            places = places_query(positions, shards, until_ms, limit, wanted, apps=apps)
            found = connection.execute(select(POSITIONS.c.shard, POSITIONS.c.entry, POSITIONS.c.counted))
            reached = {shard: Reached(entry, counted) for shard, entry, counted in found}
            events = [] if places is None else self._events(connection, places)
        return LedgerPage(events, reached)

    def _events(self, connection: Connection, places: Select[Any]) -> list[Event]:
        if self._database.ahead is None:
            return [event for _, event in self._found(connection, shown_query(places))]
        # Their numbers are known now: the walks through the indices need not be done again.
        numbers = list(connection.execute(places).scalars())
        self._database.ahead(numbers)
        found = dict(self._found(connection, select(*_SHOWN).where(self._among(RECORDS.c.seq, numbers))))
        return [found[number] for number in numbers]

    def numbered(self, query: Select[Any]) -> list[tuple[int, Event]]:
        """The records of a query over the whole table, each with its number. Raises LedgerUnavailable."""
        with self._database.reading() as connection:
            return self._found(connection, query)

    def _found(self, connection: Connection, query: Select[Any]) -> list[tuple[int, Event]]:
        rows = connection.execute(query).all()
        ids = sorted({row.person for row in rows if row.person is not None})
        known: dict[int, Mapping[str, str]] = {}
        for first in range(0, len(ids), AT_ONCE):
            among = self._among(PERSONS.c.id, ids[first : first + AT_ONCE])
            wanted = select(PERSONS.c.id, PERSONS.c.sealed).where(among)
            known |= {id_: self._values(sealed) for id_, sealed in connection.execute(wanted)}
        return [(row.seq, _event(row, known.get(row.person, {}))) for row in rows]

    def _among(self, column: ColumnElement[Any], numbers: Sequence[int]) -> ColumnElement[bool]:
        """One of these. In SQLite as one value: a text with a hundred of them is read and prepared anew each time."""
        if not self._database.is_sqlite:
            return column.in_(numbers)
        return column.in_(select(func.json_each(json.dumps(numbers)).table_valued("value").c.value))

    def _values(self, sealed: str) -> dict[str, str]:
        """What identifies somebody; nothing where a key is gone or the value is damaged: the record stands without."""
        try:
            values: dict[str, str] = json.loads(self._unseal(sealed))
        except (KeyUnknown, SealBroken):
            return {}
        return values


MOST_APPS = 100
"""A number in more apps than these has its records sorted: a query of several walks has a bound."""

AppsOf = Callable[[str], Sequence[str | None]]
"""The apps in which a number has records, None for none."""


def apps_of(connection: Connection, number_hash: str) -> list[str | None]:
    """Found one after the other at the ends of its index: a number has few apps, and may have very many records."""
    of_number, app = RECORDS.c.number_hash == number_hash, RECORDS.c.app
    without = connection.execute(select(app).where(of_number, app.is_(None)).limit(1)).first()
    found: list[str | None] = [] if without is None else [None]
    last = ""
    while len(found) <= MOST_APPS:
        following = connection.execute(select(app).where(of_number, app > last).order_by(app).limit(1)).scalar()
        if following is None:
            break
        found.append(last := following)
    return found


def places_query(
    positions: Sequence[Position],
    shards: Sequence[int],
    until_ms: int | None,
    limit: int,
    wanted: Mapping[str, frozenset[str]],
    *,
    apps: AppsOf,
) -> Select[Any] | None:
    """The query of the numbers of a page, in its order, out of the indices; None if nothing can match.

    `apps` is asked for where a number is wanted alone: the index has its records in order by each of its apps.
    """
    if not shards or not set(wanted) <= set(_COLUMNS):
        return None
    conditions = [*_after(positions, shards), *_within(shards, len(positions))]
    if until_ms is not None:
        conditions.append(RECORDS.c.at_ms <= min(until_ms, GREATEST))
    order = tuple(RECORDS.c[name] for name in _ORDER)
    walks = [and_(*equal, *conditions) for equal in _walks(wanted, apps)]
    if not walks:
        return None
    if len(walks) == 1:
        return select(RECORDS.c.seq).where(walks[0]).order_by(*order).limit(limit)
    # Of several ordered walks the first places are merged, out of the indices alone; then only what is shown is read.
    parts = (select(RECORDS.c.seq, *order).where(walk).order_by(*order).limit(limit) for walk in walks)
    places = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(places.c.seq).order_by(*(places.c[name] for name in _ORDER)).limit(limit)


def shown_query(places: Select[Any]) -> Select[Any]:
    """The query of what is shown of these places."""
    if RECORDS in places.columns_clause_froms:
        return places.with_only_columns(*_SHOWN)
    first = places.subquery()
    order = (RECORDS.c[name] for name in _ORDER)
    return select(*_SHOWN).join_from(first, RECORDS, RECORDS.c.seq == first.c.seq).order_by(*order)


def _walks(wanted: Mapping[str, frozenset[str]], apps: AppsOf) -> Iterator[list[ColumnElement[bool]]]:
    """What each walk through an index looks for: one value of each filter that the index begins with."""
    walked = _walked(wanted)
    others = [_beside(_COLUMNS[name], values) for name, values in wanted.items() if name not in walked]
    for values in product(*(sorted(wanted[name]) for name in walked)):
        pairs = zip(walked, values, strict=True)
        equal = [one for name, value in pairs for one in _of_one(name, value)]
        is_alone = walked == (EventField.NUMBER_HASH,)
        for more in _in_each_app(apps(values[0])) if is_alone else ([],):
            yield [*equal, *more, *others]


def _in_each_app(apps: Sequence[str | None]) -> Iterator[list[ColumnElement[bool]]]:
    if len(apps) > MOST_APPS:
        yield []
        return
    for app in apps:
        yield [RECORDS.c.app.is_(None) if app is None else RECORDS.c.app == app]


def _walked(wanted: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The filters that an index begins with: the most telling one, or app and type.

    A number may have very many records: it has an index with the type, and one with the app.
    """
    telling = next((name for name in _TELLING if name in wanted), None)
    if telling is None:
        return tuple(wanted)
    if telling != EventField.NUMBER_HASH:
        return (telling,)
    return (telling, *[name for name in (EventField.TYPE, EventField.APP) if name in wanted][:1])


def _of_one(name: str, value: str) -> list[ColumnElement[bool]]:
    # A delivery's id names its verification, which has the index.
    of_its_verification = [RECORDS.c.verification == _token(value)] if name == EventField.DELIVERY else []
    return [*of_its_verification, _COLUMNS[name] == value]


class _Beside(FunctionElement[str]):
    """A column for which SQLite takes no index: app and type have one together, and that has far more rows.

    PostgreSQL knows by its statistics which index has fewer, and reads the column out of that.
    """

    inherit_cache = True
    type = Text()


@compiles(_Beside)
def _as_it_is(element: _Beside, compiler: SQLCompiler, **more: Any) -> str:
    return str(compiler.process(element.clauses, **more))


@compiles(_Beside, "sqlite")
def _without_index(element: _Beside, compiler: SQLCompiler, **more: Any) -> str:
    return f"coalesce({compiler.process(element.clauses, **more)}, '')"


def _beside(column: ColumnElement[Any], values: frozenset[str]) -> ColumnElement[bool]:
    return _Beside(column).in_(sorted(values))


def _token(delivery_id: str) -> str:
    return delivery_id.partition("_")[2].rpartition("-")[0]


def _within(shards: Sequence[int], count: int) -> list[ColumnElement[bool]]:
    return [] if len(shards) >= count else [RECORDS.c.shard.in_(list(shards))]


def _after(positions: Sequence[Position], shards: Sequence[int]) -> list[ColumnElement[bool]]:
    """Behind each shard's own position. Most stand at the same place: only the others need a condition each."""
    clamped = {shard: (min(positions[shard].ms, GREATEST), min(positions[shard].counter, GREATEST)) for shard in shards}
    first = min(clamped.values())
    beyond = [
        not_(and_(RECORDS.c.shard == shard, _up_to(*place))) for shard, place in clamped.items() if place != first
    ]
    return [RECORDS.c.at_ms >= first[0], not_(_up_to(*first)), *beyond]


def _up_to(at_ms: int, counter: int) -> ColumnElement[bool]:
    return or_(RECORDS.c.at_ms < at_ms, and_(RECORDS.c.at_ms == at_ms, RECORDS.c.counter <= counter))


def _event(row: Any, values: Mapping[str, str]) -> Event:
    leaf = json.loads(row.leaf)
    detail = {name: value for name, value in leaf["detail"].items() if name != OF_SUBJECT}
    detail |= {name: value for name, value in values.items() if name in (*PERSONAL, *OF_NUMBER)}
    by = leaf["by"]
    fields = {
        EventField.TYPE: leaf["type"],
        EventField.VERIFICATION: (leaf["verification_id"] or "").removeprefix(VERIFICATION_PREFIX),
        EventField.APP: leaf["app"] or "",
        EventField.MASK: values.get("mask", ""),
        EventField.NUMBER_HASH: row.number_hash or "",
        EventField.DELIVERY: leaf["delivery_id"] or "",
        EventField.KEY_ID: by["key_id"] or "",
        EventField.REQUEST_ID: by["request_id"] or "",
        EventField.ADDRESS: by["address"] or "",
        EventField.POLICY: leaf["policy"] or "",
        EventField.PROCESS: leaf.get("process") or "",
        EventField.N: str(leaf["n"] or ""),
        EventField.DETAIL: json.dumps(detail),
        EventField.WEBHOOK: leaf.get("webhook") or "",
    }
    return Event(row.shard, Position(row.at_ms, row.counter), leaf["type"], fields)
