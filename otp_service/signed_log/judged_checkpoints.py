"""All checkpoints of a ledger, judged one after the other: a log of years has millions of them."""

import heapq
from collections.abc import Callable, Iterable, Iterator

from ..transparency.checkpoints import Checkpoint, LogKeys, SignatureRefused, read_checkpoint
from ..transparency.findings import Finding, Tampering
from ..transparency.notes import NoteError

PORTION = 1_000
"""So many checkpoints at most are in memory at a time."""


class JudgedCheckpoints:
    """The checkpoints that count, of which only the newest is kept.

    `notes` reads all of them anew, oldest first. `finding`: the first that nobody who counts signed. `newest`: of those
    before it, the one of most records; None if there is none. `count`: how many there are.
    """

    def __init__(self, notes: Callable[[], Iterable[str]], keys: LogKeys) -> None:
        self._notes = notes
        self._keys = keys
        self._is_ascending = True
        self.newest: Checkpoint | None = None
        self.finding: Finding | None = None
        self.count = 0
        for note in notes():
            self.count += 1
            if self.finding is None:
                self._judge(note)

    @property
    def size(self) -> int:
        """Of how many records the newest is."""
        return 0 if self.newest is None else self.newest.size

    def _judge(self, note: str) -> None:
        try:
            checkpoint = read_checkpoint(note)[1]
            if checkpoint.size < self._keys.since:
                return
            self._keys.verify(note)
        except SignatureRefused as error:
            self.finding = Finding(Tampering(error.kind), None, f"{_named(note)}: {error}")
        except NoteError as error:
            self.finding = Finding(Tampering.UNREADABLE, None, f"a checkpoint cannot be read: {error}")
        else:
            self._is_ascending = self._is_ascending and checkpoint.size >= self.size
            if self.newest is None or checkpoint.size > self.newest.size:
                self.newest = checkpoint

    def by_size(self) -> Iterator[Checkpoint]:
        """Those that count, in order of their sizes, read anew. There must be no finding."""
        return self._counting() if self._is_ascending else in_order(self._counting)

    def _counting(self) -> Iterator[Checkpoint]:
        read = (read_checkpoint(note)[1] for note in self._notes())
        return (one for one in read if one.size >= self._keys.since)


def in_order(again: Callable[[], Iterable[Checkpoint]], most: int = PORTION) -> Iterator[Checkpoint]:
    """In order of size, and of equal sizes in the order of `again`, which reads them anew for each `most` of them.

    It takes time, and is for a table that somebody has changed: a log signs in this order.
    """
    last = (-1, -1)
    while True:
        numbered = (((one.size, place), one) for place, one in enumerate(again()))
        portion = heapq.nsmallest(most, (one for one in numbered if one[0] > last), key=lambda one: one[0])
        yield from (one for _, one in portion)
        if len(portion) < most:
            return
        last = portion[-1][0]


def _named(note: str) -> str:
    return f"the checkpoint of {note.split(chr(10))[1]} records"
