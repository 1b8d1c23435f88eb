"""Reading ahead: rows that lie scattered over a file of SQLite are looked up by several threads at the same time.

SQLite reads one row after the other: a hundred rows in a hundred places of a disk take a hundred times as long as one.
Whoever reads these rows afterwards finds them in the memory of the machine. Nothing that is read here is shown, so only
the time of a page depends on it.
"""

import resource
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from queue import Empty, Full, LifoQueue

THREADS = 8
NAME = "ledger-ahead"
"""How their names begin."""

NEAR = 8
"""A record so few numbers behind another lies in the same block or the next: four or five share one."""

PLACES = 32
"""Records in fewer places than these are read as fast without other threads."""

TRIED = 8
"""If so many of the wanted records need nothing from the disk, the others are in memory, too."""

_LOOK_UP = """
SELECT length(leaf_hash), length(sealed) FROM records LEFT JOIN persons ON persons.id = records.person
WHERE seq IN ({marks})
"""


def blocks_read() -> int:
    """By this thread, from disks."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_inblock


class ReadAhead:
    """Of one file. Safe for many threads, which share these few."""

    def __init__(self, path: Path, blocks_read: Callable[[], int] = blocks_read) -> None:
        self._blocks_read = blocks_read
        self._url = f"{path.absolute().as_uri()}?mode=ro"
        self._threads = _threads()
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue(THREADS)

    def __call__(self, numbers: Sequence[int]) -> int:
        """Look these records up, and what identifies somebody in them, if they lie scattered and are not in memory.

        How many were found.
        """
        ordered = sorted(numbers)
        if _places(ordered) < PLACES or not self._needs_disk(ordered):
            return 0
        each = -(-len(ordered) // THREADS)
        return sum(self._threads.map(self._look_up, (ordered[at : at + each] for at in range(0, len(ordered), each))))

    def _needs_disk(self, numbers: Sequence[int]) -> bool:
        """Asked of one after the other: the first that comes from the disk is answer enough."""
        return any(self._comes_from_disk(number) for number in numbers[:: -(-len(numbers) // TRIED)])

    def _comes_from_disk(self, number: int) -> bool:
        before = self._blocks_read()
        self._look_up([number])
        return self._blocks_read() > before

    def _look_up(self, numbers: Sequence[int]) -> int:
        with suppress(sqlite3.Error):  # Whoever reads the page is told.
            connection = self._connection()
            try:
                return len(connection.execute(_LOOK_UP.format(marks=", ".join("?" * len(numbers))), numbers).fetchall())
            finally:
                self._keep(connection)
        return 0

    def _keep(self, connection: sqlite3.Connection) -> None:
        try:
            self._idle.put_nowait(connection)
        except Full:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            return sqlite3.connect(self._url, uri=True, isolation_level=None, check_same_thread=False)

    def close(self) -> None:
        """End the threads and close their connections. It may be used again."""
        threads, self._threads = self._threads, _threads()
        threads.shutdown()
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()


def _places(numbers: Sequence[int]) -> int:
    return 1 + sum(following - number > NEAR for number, following in pairwise(numbers))


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix=NAME)
