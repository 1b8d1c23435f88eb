"""Checking the promises over a period of the ledger: every record once, in order of time."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from ..domain.audit import POLICY_DIGITS
from ..ledger.database import Database
from ..ledger.tables import CONFIGURATIONS, RECORDS
from .promises import ENDS, LIFETIME_MS, Breach, Judge, RulesOf, Told
from .recorded_rules import Rules

PORTION = 2_000
_ORDER = (RECORDS.c.at_ms, RECORDS.c.counter, RECORDS.c.shard)
_COLUMNS = (RECORDS.c.seq, RECORDS.c.leaf, RECORDS.c.number_hash, *_ORDER)
_SHOWN = len("sha256:") + POLICY_DIGITS
"""So much of a hash every event has, also one that came before its configuration was in the ledger."""

_WISHES = ("optout.added", "optout.removed")
_BUDGETS = ("verification.started", "check.failed", "person.lock_lifted", *sorted(ENDS))
_BUDGETS_MS = 25 * 3_600_000
"""For so long before the period wrong codes of numbers are counted: the usual budget is one of a day."""


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
        judge, first_ms = Judge(_rules(connection), since_ms), since_ms - LIFETIME_MS
        for types, from_ms in ((_WISHES, 0), (_BUDGETS, first_ms - _BUDGETS_MS)):
            at_ms = RECORDS.c.at_ms
            before = select(*_COLUMNS).where(RECORDS.c.type.in_(types), at_ms >= from_ms, at_ms < first_ms)
            for told in _told(connection, before):
                list(judge.see(told))
        wanted = select(*_COLUMNS).where(RECORDS.c.at_ms >= first_ms)
        if until_ms is not None:
            wanted = wanted.where(RECORDS.c.at_ms < until_ms)
        within = wanted.where(RECORDS.c.at_ms >= since_ms).subquery()
        total = int(connection.execute(select(func.count()).select_from(within)).scalar_one())
        breaches: list[Breach] = []
        for done, told in enumerate(_told(connection, wanted), 1):
            breaches += judge.see(told)
            if done % PORTION == 0:
                progress(min(done, total), total)
        return CheckReport(total, judge.started, [*breaches, *judge.end(until_ms)], judge.unjudged)


def _told(connection: Connection, wanted: Select[Any]) -> Iterator[Told]:
    # One walk in order: each page by itself would look for its place again, from the beginning of the period on.
    rows = connection.execute(wanted.order_by(*_ORDER).execution_options(yield_per=PORTION))
    yield from map(_of, rows)


def _of(row: Any) -> Told:
    leaf = json.loads(row.leaf)
    verification, delivery = leaf["verification_id"], leaf["delivery_id"]
    named = (leaf["type"], verification, delivery, row.number_hash, leaf["policy"], leaf["detail"])
    return Told(row.seq, row.at_ms, *named, leaf["app"])


def _rules(connection: Connection) -> RulesOf:
    """From the configurations that the ledger has by their hashes."""
    rows = connection.execute(select(CONFIGURATIONS.c.hash, CONFIGURATIONS.c.content))
    known = {policy[:_SHOWN]: Rules(json.loads(content)) for policy, content in rows}
    return lambda policy: known.get((policy or "")[:_SHOWN])
