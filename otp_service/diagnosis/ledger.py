"""Whether the audit record reaches the ledger, and whether the store has lost or repeated any of it."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..clock import rfc3339
from ..domain.errors import ServiceError
from .result import CheckResult

if TYPE_CHECKING:
    from ..ledger.database import Database

NEARLY_FULL = 0.5
"""From this share of `[audit] backlog_max` on the backlog is a finding."""


def check_ledger(find: Callable[[], "Database | None"], waiting: Callable[[], int], most: int) -> Iterator[CheckResult]:
    """`find` opens the ledger if it is there, `waiting` counts entries that are not in it, `most`: so many may wait."""
    try:
        database, backlog = find(), waiting()
    except ServiceError as error:
        yield CheckResult("ledger", False, error.detail)
        return
    if database is None:
        yield CheckResult("ledger", False, "there is none yet: a worker makes it (otp-service worker, or ledger run)")
        return
    try:
        yield from _judged(database, backlog, most)
    except ServiceError as error:
        yield CheckResult("ledger", False, error.detail)
    finally:
        database.close()


def _judged(database: "Database", backlog: int, most: int) -> Iterator[CheckResult]:
    from ..ledger import reading, writing  # noqa: PLC0415 - the database's library, only if there is one

    size = reading.size(database)
    fine = backlog < NEARLY_FULL * most
    detail = f"{size} records; {backlog} entries of the store wait (starts are refused from {most} on)"
    yield CheckResult("ledger", fine, detail if fine else f"{detail}; does a worker run, and can it write the ledger?")
    gaps = writing.open_gaps(database)
    if gaps:
        last = gaps[-1]
        detail = f"{len(gaps)} times the store lost or repeated events, last {rfc3339(last.at_ms, 'seconds')}"
        more = "find out why, then: otp-service ledger accept-restore"
        yield CheckResult("ledger gaps", False, f"{detail}: {json.dumps(last.detail)}; {more}")
