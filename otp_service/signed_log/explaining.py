"""A decision of the ledger, recomputed from its earlier records and the configuration that it names."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, false, func, select, tuple_

from ..domain.audit import POLICY_DIGITS
from ..domain.canonical_json import canonical
from ..domain.explaining.configuration import read_policy
from ..domain.explaining.explain import DECISIONS, explain, explain_next
from ..domain.explaining.history import RESTARTS, History
from ..domain.explaining.record import Explanation, Happened, RefusalOf, Step, checked, taken
from ..domain.person import IN_A_ROW_MS
from ..domain.policy import MAX_LIFETIME_MS, Policy
from ..ledger.database import Database
from ..ledger.tables import CONFIGURATIONS, RECORDS
from ..transparency.tree import leaf_hash
from .reading import UNREADABLE, find_record

SHOWN = len("sha256:") + POLICY_DIGITS
"""So much of a hash every event has."""

_ORDER = (RECORDS.c.at_ms, RECORDS.c.counter, RECORDS.c.shard)
_WISHES = ("optout.added", "optout.removed")
_BEFORE_MS = IN_A_ROW_MS + MAX_LIFETIME_MS
"""No rule looks back further than wrong codes in a row."""


class NotExplained(Exception):
    """It cannot be recomputed; the text says why."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A record and its explanation. `policy`: the hash of the configuration that decided."""

    seq: int
    at: str
    type: str
    policy: str | None
    explanation: Explanation


def explain_record(database: Database, name: str, refusal_of: RefusalOf) -> Explained | None:
    """Recompute the decision of this record, named by its number or as the API names an event; None for no record.

    Raises NotExplained and LedgerUnavailable.
    """
    with database.reading() as connection:
        found = find_record(connection, name, None)
        return _explained(connection, found[0], refusal_of) if found else None


@dataclass(slots=True)
class Recomputed:
    """The decisions of a period: how many were recomputed, how many nobody can, and those that differ.

    `differ`: the record's number, and a sentence. Nobody can where the number was erased, or where the start of the
    verification or the configuration is not in the ledger.
    """

    decisions: int = 0
    unknown: int = 0
    differ: list[tuple[int, str]] = field(default_factory=list)


def recompute(database: Database, since_ms: int, until_ms: int | None, refusal_of: RefusalOf) -> Recomputed:
    """Recompute every decision of the period. Raises LedgerUnavailable."""
    found = Recomputed()
    with database.reading() as connection:
        policies = _Policies(connection)
        restarts = connection.execute(select(RECORDS).where(RECORDS.c.type.in_(RESTARTS))).all()
        within = [RECORDS.c.at_ms >= since_ms, *([] if until_ms is None else [RECORDS.c.at_ms < until_ms])]
        decided = RECORDS.c.type.in_(DECISIONS)
        erased = select(func.count()).select_from(RECORDS).where(decided, RECORDS.c.number_hash.is_(None), *within)
        found.unknown = int(connection.execute(erased).scalar_one())
        numbers = select(RECORDS.c.number_hash).where(decided, RECORDS.c.number_hash.is_not(None), *within).distinct()
        for number in connection.execute(numbers).scalars().all():
            rows = connection.execute(select(RECORDS).where(RECORDS.c.number_hash == number)).all()
            history = History(policies.of)
            history.restarts = [row.at_ms for row in restarts]
            for row in sorted([*rows, *restarts], key=lambda one: (one.at_ms, one.counter, one.shard)):
                judged = row.at_ms >= since_ms and (until_ms is None or row.at_ms < until_ms)
                _read_and_recompute(row, history, policies, refusal_of, found if judged else Recomputed())
    return found


def _read_and_recompute(
    row: Any, history: History, policies: "_Policies", refusal_of: RefusalOf, found: Recomputed
) -> None:
    try:
        _recompute(_happened(row), history, policies, refusal_of, found)
    except (KeyError, *UNREADABLE):
        unread = row.seq, "it, or what it rests on, cannot be read"
        # A restart of the store is in the history of each number.
        found.differ += [unread] if unread not in found.differ else []


def _recompute(
    event: Happened, history: History, policies: "_Policies", refusal_of: RefusalOf, found: Recomputed
) -> None:
    try:
        explanation = explain_next(event, history, policies.of, refusal_of)
        history.follow(event)
    except KeyError:
        found.unknown += event.type in DECISIONS
        return
    found.decisions += explanation is not None
    if explanation is not None and not explanation.agrees:
        against = next((f": {one.fact}: not so that {one.rule}" for one in explanation.steps if not one.holds), "")
        outcome = f"{event.type} is `{explanation.recorded}`, and by the rules `{explanation.recomputed}`{against}"
        found.differ.append((event.seq, outcome))


def _explained(connection: Connection, seq: int, refusal_of: RefusalOf) -> Explained:
    row = connection.execute(select(RECORDS).where(RECORDS.c.seq == seq)).one()
    try:
        return _recomputed(connection, row, refusal_of)
    except KeyError as error:
        raise NotExplained(f"record {seq}: {error.args[0]} is not on record") from error
    except UNREADABLE as error:
        raise NotExplained(f"record {seq}, or what it rests on, cannot be read") from error


def _recomputed(connection: Connection, row: Any, refusal_of: RefusalOf) -> Explained:
    leaf, event = json.loads(row.leaf), _happened(row)
    if event.type not in DECISIONS:
        raise NotExplained(f"record {row.seq} ({event.type}) is no decision by the service's rules")
    was_erased = row.number_hash is None and leaf["person"] is not None
    if was_erased and row.verification is None:
        raise NotExplained(f"record {row.seq}: the number was erased, and the record names no verification")
    policies = _Policies(connection)
    explanation = explain(event, _before(connection, row), policies.of, refusal_of)
    assert explanation is not None
    as_signed = (_as_hashed(row), *policies.steps(event.policy))
    if was_erased and not explanation.agrees and all(step.holds for step in as_signed):
        raise NotExplained(f"record {row.seq} rests on what counted against the number, and that was erased")
    steps = (*as_signed, *_person(row), *explanation.steps)
    told = Explanation(explanation.recorded, explanation.recomputed, steps)
    return Explained(row.seq, leaf["at"], event.type, event.policy, told)


def _happened(row: Any) -> Happened:
    leaf = json.loads(row.leaf)
    delivery = leaf["delivery_id"]
    return Happened(
        row.seq,
        row.at_ms,
        leaf["type"],
        leaf["app"],
        leaf["verification_id"],
        delivery,
        leaf["policy"],
        leaf["detail"],
    )


def _before(connection: Connection, row: Any) -> list[Happened]:
    """What happened to the number before; of who was erased, to the verification alone. And restarts of the store."""
    if row.number_hash is not None:
        whose: ColumnElement[bool] = RECORDS.c.number_hash == row.number_hash
    elif row.verification is not None:
        whose = RECORDS.c.verification == row.verification
    else:
        whose = false()
    earlier = tuple_(*_ORDER) < (row.at_ms, row.counter, row.shard)
    since = RECORDS.c.at_ms >= row.at_ms - _BEFORE_MS
    wishes = RECORDS.c.type.in_(_WISHES) & (RECORDS.c.at_ms < row.at_ms - _BEFORE_MS)
    restarts = RECORDS.c.type.in_(RESTARTS) & since & (RECORDS.c.at_ms <= row.at_ms + MAX_LIFETIME_MS)
    queries = (whose & wishes & earlier, whose & since & earlier, restarts)
    rows = {found.seq: found for query in queries for found in connection.execute(select(RECORDS).where(query))}
    ordered = sorted(rows.values(), key=lambda one: (one.at_ms, one.counter, one.shard))
    return [_happened(one) for one in ordered]


class _Policies:
    """The configurations of the ledger, by as much of the hash as every event has."""

    def __init__(self, connection: Connection) -> None:
        self._contents: dict[str, tuple[str, str]] = {}
        for policy, content in connection.execute(select(CONFIGURATIONS.c.hash, CONFIGURATIONS.c.content)):
            self._contents[policy[:SHOWN]] = policy, content
        self._read: dict[str, Policy] = {}

    def of(self, policy: str | None) -> Policy:
        """Raises KeyError."""
        name = (policy or "")[:SHOWN]
        if name not in self._contents:
            raise KeyError(f"the configuration {policy}")
        if name not in self._read:
            self._read[name] = read_policy(json.loads(self._contents[name][1]))
        return self._read[name]

    def steps(self, policy: str | None) -> Iterator[Step]:
        """Whether the configuration is the one that its hash names."""
        known = self._contents.get((policy or "")[:SHOWN])
        if known is not None:
            is_it = f"sha256:{hashlib.sha256(canonical(json.loads(known[1]))).hexdigest()}" == known[0]
            yield checked("the configuration", "its content has the hash that the record names", holds=is_it)


def _as_hashed(row: Any) -> Step:
    is_it = leaf_hash(bytes(row.leaf)) == bytes(row.leaf_hash)
    return checked(f"record {row.seq}", "its bytes have the hash that the log has", holds=is_it)


def _person(row: Any) -> Iterable[Step]:
    if row.number_hash is None:
        yield taken("the number", "it was erased: what counted against it is not known any more")
