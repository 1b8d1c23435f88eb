"""The records in the order of the ledger, for exports: portions by their numbers, with a filter by time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

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
    within = _within(since_ms, until_ms)
    begin, final = _bounds(database, within) if within else (1, last)
    for first in range(max(after + 1, begin), final + 1, PORTION):
        end = min(first + PORTION - 1, final)
        wanted = select(RECORDS).where(RECORDS.c.seq.between(first, end), *within).order_by(RECORDS.c.seq)
        yield end, last, [Numbered(seq, event) for seq, event in pages.numbered(wanted)]
    if final < last:
        yield last, last, []


def _within(since_ms: int | None, until_ms: int | None) -> list[ColumnElement[bool]]:
    since = [] if since_ms is None else [RECORDS.c.at_ms >= since_ms]
    return since if until_ms is None else [*since, RECORDS.c.at_ms <= until_ms]


def _bounds(database: Database, within: Sequence[ColumnElement[bool]]) -> tuple[int, int]:
    """The first and the last number of the records of this time, by the index: others need no look."""
    wanted = select(func.min(RECORDS.c.seq), func.max(RECORDS.c.seq)).where(*within)
    with database.reading() as connection:
        first, last = connection.execute(wanted).one()
    return first or 1, last or 0
