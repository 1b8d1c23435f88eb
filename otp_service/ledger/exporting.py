"""The records in the order of the ledger, for exports: portions by their numbers, with a filter by time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from ..domain.audit import Event
from . import reading
from .database import Database
from .pages import LedgerPages
from .tables import RECORDS

PORTION = 5_000


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record: its number in the ledger, and the event as readers see it."""

    seq: int
    event: Event


def records(
    database: Database,
    unseal: Callable[[str], bytes],
    *,
    after: int = 0,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> Iterator[tuple[int, int, list[Numbered]]]:
    """Portions of the records behind the number `after`: the last number looked at, how many there are, and those that
    pass. Records that come meanwhile are not among them. Times are Unix milliseconds, both included.

    Raises LedgerUnavailable.
    """
    pages, last = LedgerPages(database, unseal), reading.size(database)
    for first in range(after + 1, last + 1, PORTION):
        end = min(first + PORTION - 1, last)
        wanted = select(RECORDS).where(RECORDS.c.seq.between(first, end)).order_by(RECORDS.c.seq)
        if since_ms is not None:
            wanted = wanted.where(RECORDS.c.at_ms >= since_ms)
        if until_ms is not None:
            wanted = wanted.where(RECORDS.c.at_ms <= until_ms)
        yield end, last, [Numbered(seq, event) for seq, event in pages.numbered(wanted)]
