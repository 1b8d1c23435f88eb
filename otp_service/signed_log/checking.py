"""Checking the promises over a period of the ledger: every record once, in order of time."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from ..domain.audit import POLICY_DIGITS
from ..domain.person import IN_A_ROW_MS
from ..domain.policy import MAX_LIFETIME_MS
from ..ledger.database import Database
from ..ledger.tables import CONFIGURATIONS, RECORDS
from .promises import ENDS, LIFETIME_MS, Breach, Judge, Promise, Told
from .reading import UNREADABLE
from .recorded_rules import Rules
from .stated_answers import left_out

PORTION = 2_000
_ORDER = (RECORDS.c.at_ms, RECORDS.c.counter, RECORDS.c.shard)
_COLUMNS = (RECORDS.c.seq, RECORDS.c.leaf, RECORDS.c.number_hash, *_ORDER)
_SHOWN = len("sha256:") + POLICY_DIGITS
"""So much of a hash every event has, also one that came before its configuration was in the ledger."""

_WHOLE = len("sha256:") + 64

_WISHES = ("optout.added", "optout.removed")
_BUDGETS = ("verification.started", "check.failed", "person.lock_lifted", *sorted(ENDS))
_BUDGETS_MS = IN_A_ROW_MS + MAX_LIFETIME_MS
"""For so long before the period wrong codes of numbers are counted: no budget reaches back further."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How much was checked, every promise that was not kept, and how many sends by a profile that is not known."""

    records: int
    started: int
    breaches: list[Breach]
    unjudged: int = 0


def check_promises(
    database: Database,
    since_ms: int,
    until_ms: int | None,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> CheckReport:
    """Check the records from `since_ms` on, before `until_ms` (Unix milliseconds).

    What began a little before is known, and not judged for that time. Raises LedgerUnavailable.
    """
    with database.reading() as connection:
        known = _known_rules(connection)
        judge, first_ms = Judge(lambda policy: known.get((policy or "")[:_SHOWN]), since_ms), since_ms - LIFETIME_MS
        missing = _MissingConfigurations(known, since_ms)
        for types, from_ms in ((_WISHES, 0), (_BUDGETS, first_ms - _BUDGETS_MS)):
            at_ms = RECORDS.c.at_ms
            before = select(*_COLUMNS).where(RECORDS.c.type.in_(types), at_ms >= from_ms, at_ms < first_ms)
            for row in _rows(connection, before):
                _seen(judge, row, since_ms)
        wanted = select(*_COLUMNS).where(RECORDS.c.at_ms >= first_ms)
        if until_ms is not None:
            wanted = wanted.where(RECORDS.c.at_ms < until_ms)
        within = wanted.where(RECORDS.c.at_ms >= since_ms).subquery()
        total = int(connection.execute(select(func.count()).select_from(within)).scalar_one())
        breaches: list[Breach] = []
        for done, row in enumerate(_rows(connection, wanted), 1):
            breaches += [*_seen(judge, row, since_ms), *missing.named_by(row)]
            if done % PORTION == 0:
                progress(min(done, total), total)
        breaches += [*judge.end(until_ms), *left_out(connection, since_ms, until_ms)]
        return CheckReport(total, judge.started, breaches, judge.unjudged)


def _rows(connection: Connection, wanted: Select[Any]) -> Iterator[Any]:
    # One walk in order: each page by itself would look for its place again, from the beginning of the period on.
    yield from connection.execute(wanted.order_by(*_ORDER).execution_options(yield_per=PORTION))


def _seen(judge: Judge, row: Any, since_ms: int) -> list[Breach]:
    try:
        return list(judge.see(_of(row)))
    except (KeyError, *UNREADABLE):
        is_before = isinstance(row.at_ms, int) and row.at_ms < since_ms
        unread = Breach(Promise.READ, row.seq, "it, or the configuration that it names, cannot be read")
        return [] if is_before else [unread]


def _of(row: Any) -> Told:
    leaf = json.loads(row.leaf)
    verification, delivery = leaf["verification_id"], leaf["delivery_id"]
    named = (leaf["type"], verification, delivery, row.number_hash, leaf["policy"], leaf["detail"])
    return Told(row.seq, row.at_ms, *named, leaf["app"])


class _MissingConfigurations:
    """Those that records name by their whole hash, so that the ledger had them, and that it has no more."""

    def __init__(self, known: Collection[str], since_ms: int) -> None:
        self._known = known
        self._since_ms = since_ms
        self._told: set[str] = set()

    def named_by(self, row: Any) -> Iterator[Breach]:
        """What this record names, if it is of the period; each once."""
        if isinstance(row.at_ms, int) and row.at_ms < self._since_ms:
            return
        try:
            policy = json.loads(row.leaf)["policy"]
        except (KeyError, *UNREADABLE):
            return
        if not isinstance(policy, str) or len(policy) != _WHOLE or policy in self._told:
            return
        self._told.add(policy)
        if policy[:_SHOWN] not in self._known:
            yield Breach(Promise.READ, row.seq, f"the configuration {policy}, which it names, was removed or edited")


def _known_rules(connection: Connection) -> dict[str, Rules]:
    """From the configurations that the ledger has, by as much of their hashes as every event has."""
    rows = connection.execute(select(CONFIGURATIONS.c.hash, CONFIGURATIONS.c.content))
    return {policy[:_SHOWN]: rules for policy, content in rows if (rules := _rules_in(content)) is not None}


def _rules_in(content: str) -> Rules | None:
    """None for what is no configuration: `audit verify` names it."""
    try:
        return Rules(json.loads(content))
    except (KeyError, *UNREADABLE):
        return None
