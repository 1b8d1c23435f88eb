"""Pages of a large ledger by every filter, each beside a plain indexed read of as many rows of the same database."""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import select

from otp_service.domain.audit import EventField, EventType, Position
from otp_service.domain.ids import shard_of
from otp_service.ledger.database import Database
from otp_service.ledger.pages import LedgerPages
from otp_service.ledger.tables import RECORDS

from ..storage.harness import SHARDS
from .made_up import APPS, NEVER, RARE

PAGE = 101
"""The API reads one more than the hundred of a page."""

COMMON = (EventType.STARTED, EventType.QUEUED, EventType.SENT, EventType.CHECK_FAILED, EventType.APPROVED)
OF_ONE = {EventField.VERIFICATION, EventField.DELIVERY, EventField.NUMBER_HASH, EventField.MESSAGE}
"""Whoever asks for one of these asks from the beginning of the record on, or the end would have nothing."""

HOUR_MS = 3_600_000
NEAR = 5_000
"""Among so many records there is each common type."""

Wanted = dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: what passes, from when on and until when (Unix milliseconds)."""

    wanted: Wanted
    since_ms: int = 0
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Of many reads: rows of a page, and milliseconds, the median and the 95th percentile.

    `cpu_ms`: of the processor alone, which other work of the machine does not change. `plain_ms`: of plain reads.
    """

    name: str
    rows: float
    page_ms: tuple[float, float]
    cpu_ms: tuple[float, float]
    plain_ms: tuple[float, float]

    @property
    def ratio(self) -> float:
        """How many times as long a page takes as a plain read, by the medians."""
        return self.page_ms[0] / self.plain_ms[0]


class LargeLedger:
    """Asks for pages.

    `busy`: the hash of a number that has very many records. `path`: the file, None for PostgreSQL.
    """

    def __init__(self, database: Database, unseal: Callable[[str], bytes], busy: str, path: Path | None) -> None:
        self._database = database
        self._pages = LedgerPages(database, unseal)
        self._busy = busy
        self._random = random.Random(3)
        self._file = None if path is None else os.open(path, os.O_RDONLY)
        with database.reading() as connection:
            first, last = (
                connection.execute(select(RECORDS.c.at_ms).order_by(order).limit(1)).scalar_one()
                for order in (RECORDS.c.seq, RECORDS.c.seq.desc())
            )
            self._size = int(
                connection.execute(select(RECORDS.c.seq).order_by(RECORDS.c.seq.desc()).limit(1)).scalar_one()
            )
        self._began_ms, self._ends_ms = int(first), int(last)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)

    def measure(self, reads: int, *, cold: bool) -> Iterator[Measured]:
        """Each question so often. `cold`: before each read nothing of the file is in memory."""
        for name, ask in self._questions().items():
            times = [self._timed(ask(), cold=cold) for _ in range(reads)]
            rows, pages, cpu, plain = (list(column) for column in zip(*times, strict=True))
            yield Measured(name, sum(rows) / reads, _two(pages), _two(cpu), _two(plain))

    def _timed(self, asked: Asked, *, cold: bool) -> tuple[int, float, float, float]:
        rows, page_ms, cpu_ms = self._time(lambda: self._page(asked), cold=cold)
        _, plain_ms, _ = self._time(lambda: self._plain(max(1, rows)), cold=cold)
        return rows, page_ms, cpu_ms, plain_ms

    def _time(self, read: Callable[[], int], *, cold: bool) -> tuple[int, float, float]:
        if cold and self._file is not None:
            self._database.close()
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)
            with self._database.reading():
                pass
        began, used = time.perf_counter(), time.thread_time()
        rows = read()
        return rows, (time.perf_counter() - began) * 1000, (time.thread_time() - used) * 1000

    def _page(self, asked: Asked) -> int:
        first = Position(max(0, asked.since_ms - 1), 2**63 - 1)
        shards: Sequence[int] = range(SHARDS)
        if number := asked.wanted.get(EventField.NUMBER_HASH):
            shards = [shard_of(next(iter(number)), SHARDS)]
        page = self._pages.read(
            [first] * SHARDS, shards=shards, until_ms=asked.until_ms, limit=PAGE, wanted=asked.wanted
        )
        return len(page.events)

    def _plain(self, rows: int) -> int:
        first = self._random.randrange(1, max(2, self._size - rows))
        with self._database.reading() as connection:
            query = f"SELECT * FROM records WHERE seq BETWEEN {first} AND {first + rows - 1}"
            return len(connection.exec_driver_sql(query).all())

    def _questions(self) -> Mapping[str, Callable[[], Asked]]:
        names = tuple(name for name in (EventField.APP, EventField.TYPE, *sorted(OF_ONE)))
        several = [(), *combinations(names, 1), *combinations(names, 2)]
        return {
            **{"+".join(chosen) or "all": (lambda chosen=chosen: self._of_a_record(chosen)) for chosen in several},
            **{f"{name}, one hour": (lambda chosen=chosen: self._hour(chosen)) for name, chosen in _HOURS.items()},
            **{name: (lambda wanted=wanted: self._moment(wanted)) for name, wanted in _RARE.items()},
            **{f"busy number{name}": (lambda more=more: self._of_busy(more)) for name, more in _BUSY.items()},
        }

    def _record(self) -> Any:
        """Any record of a message that was sent: it has everything that is asked for."""
        first = self._random.randrange(1, max(2, self._size - NEAR))
        wanted = select(RECORDS).where(RECORDS.c.seq >= first, RECORDS.c.seq < first + NEAR)
        with self._database.reading() as connection:
            return next(row for row in connection.execute(wanted) if row.type == EventType.SENT)

    def _of_a_record(self, chosen: Sequence[str]) -> Asked:
        row = self._record()
        wanted = {name: frozenset({str(getattr(row, name))}) for name in chosen}
        if EventField.TYPE in wanted:
            wanted[EventField.TYPE] = frozenset({self._random.choice(COMMON)})
        return Asked(wanted) if OF_ONE & wanted.keys() else self._moment(wanted)

    def _moment(self, wanted: Wanted) -> Asked:
        return Asked(wanted, self._random.randint(self._began_ms, self._ends_ms))

    def _hour(self, chosen: Sequence[str]) -> Asked:
        asked = self._of_a_record(chosen)
        return Asked(asked.wanted, asked.since_ms, asked.since_ms + HOUR_MS)

    def _of_busy(self, more: Wanted) -> Asked:
        return Asked({EventField.NUMBER_HASH: frozenset({self._busy}), **more})


_HOURS = {"all": (), "app": ("app",), "type": ("type",), "app+type": ("app", "type")}
_HUGE, _TINY = next(iter(APPS)), list(APPS)[-1]
_RARE: Mapping[str, Wanted] = {
    "a rare type": {"type": frozenset({RARE})},
    "a rare type of a huge app": {"app": frozenset({_HUGE}), "type": frozenset({RARE})},
    "a type that is nowhere": {"type": frozenset({NEVER})},
    "such a type of a huge app": {"app": frozenset({_HUGE}), "type": frozenset({NEVER})},
    "a small app": {"app": frozenset({_TINY})},
    "an app that is nowhere": {"app": frozenset({"nobody"})},
    "five types": {"type": frozenset(COMMON)},
    "five types of a huge app": {"app": frozenset({_HUGE}), "type": frozenset(COMMON)},
    "verification of another app": {"app": frozenset({"nobody"}), "verification": frozenset({"a" * 32})},
}
_BUSY: Mapping[str, Wanted] = {
    "": {},
    " and a rare type": {"type": frozenset({RARE})},
    " and a type that is nowhere": {"type": frozenset({NEVER})},
    " and five types": {"type": frozenset(COMMON)},
    " and an app that is nowhere": {"app": frozenset({"nobody"})},
}


def _two(times: Sequence[float]) -> tuple[float, float]:
    return median(times), sorted(times)[int(len(times) * 0.95)]
