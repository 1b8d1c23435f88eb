"""Checking the promises over a period of the ledger: every record once, in order of time."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from ..domain.audit import POLICY_DIGITS
from ..ledger.database import Database
from ..ledger.tables import CONFIGURATIONS, RECORDS
from .promises import LIFETIME_MS, Breach, Judge, ProfileOf, Told

PORTION = 2_000
_ORDER = (RECORDS.c.at_ms, RECORDS.c.counter, RECORDS.c.shard)
_COLUMNS = (RECORDS.c.seq, RECORDS.c.leaf, RECORDS.c.number_hash, *_ORDER)
_SHOWN = len("sha256:") + POLICY_DIGITS
"""So much of a hash every event has, also one that came before its configuration was in the ledger."""

_WISHES = ("optout.added", "optout.removed")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How much was checked, and every promise that was not kept."""

    records: int
    started: int
    breaches: list[Breach]


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
        judge, first_ms = Judge(_profiles(connection), since_ms), since_ms - LIFETIME_MS
        before = select(*_COLUMNS).where(RECORDS.c.type.in_(_WISHES), RECORDS.c.at_ms < first_ms)
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
        return CheckReport(total, judge.started, [*breaches, *judge.end(until_ms)])


def _told(connection: Connection, wanted: Select[Any]) -> Iterator[Told]:
    # One walk in order: each page by itself would look for its place again, from the beginning of the period on.
    rows = connection.execute(wanted.order_by(*_ORDER).execution_options(yield_per=PORTION))
    yield from map(_of, rows)


def _of(row: Any) -> Told:
    leaf = json.loads(row.leaf)
    verification, delivery = leaf["verification_id"], leaf["delivery_id"]
    named = (leaf["type"], verification, delivery, row.number_hash, leaf["policy"], leaf["detail"])
    return Told(row.seq, row.at_ms, *named)


def _profiles(connection: Connection) -> ProfileOf:
    """From the configurations that the ledger has by their hashes."""
    known: dict[str, dict[str, str]] = {}
    for policy, content in connection.execute(select(CONFIGURATIONS.c.hash, CONFIGURATIONS.c.content)):
        senders = json.loads(content).get("senders", {})
        known[policy[:_SHOWN]] = {name: str(sender.get("messaging_profile_id")) for name, sender in senders.items()}
    return lambda policy, sender: known.get((policy or "")[:_SHOWN], {}).get(sender)
