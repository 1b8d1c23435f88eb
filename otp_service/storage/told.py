"""What a process knows of the store's run, and what it has told its callers since the store last kept a beat.

After a restart of the store this is compared with what the store has. Whatever was told before the last beat that was
answered was written before that beat, so the beat stands for it.
"""

import threading
from collections import deque
from collections.abc import Sequence

from ..domain.verification import Status
from .schema.encodings import CheckReply
from .schema.fields import Record

MOST = 100_000
"""Answers that are remembered at most. With more of them since the last beat, nothing can be said."""

Fact = tuple[str, str, str]
"""The key of a record, one of its fields, and the value that it had when the caller was told."""


class Told:
    """Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: deque[Fact] = deque(maxlen=MOST)
        self._living: tuple[frozenset[str], int] = (frozenset(), 0)

    def note_living(self, runs: frozenset[str], since_ms: int) -> None:
        """What is alive began in these runs of the store. The last of them was noted then, by the store's clock."""
        self._living = runs, since_ms

    def is_over(self, born: str | None, began_ms: int) -> bool:
        """Whether what began then, in this run of the store, is over. A run that began since is not known yet."""
        runs, since_ms = self._living
        return born not in runs and began_ms < since_ms

    def add(self, record: str, field: str, value: str) -> None:
        """A caller is about to be told what this field of the record says."""
        with self._lock:
            self._facts.append((record, field, value))

    def add_check(self, record: str, operation_id: str, answer: Sequence[str]) -> None:
        """A caller is about to be told this answer of `verification/check`."""
        match answer[0]:
            case "approved":
                self.add(record, Record.STATUS, Status.APPROVED)
            case "ended":
                self.add(record, Record.STATUS, answer[1])
            case "wrong":
                self.add(record, f"{Record.OPERATION}{operation_id}", CheckReply.pack("wrong", answer[1]))

    def take(self) -> deque[Fact]:
        """What was told until now. It is remembered no longer, unless it is given back."""
        with self._lock:
            taken, self._facts = self._facts, deque(maxlen=MOST)
        return taken

    def give_back(self, taken: deque[Fact]) -> None:
        """No beat was answered after it was told."""
        with self._lock:
            taken.extend(self._facts)
            self._facts = taken

    @property
    def is_whole(self) -> bool:
        """Whether nothing was forgotten."""
        return len(self._facts) < MOST

    def facts(self) -> list[Fact]:
        """All of them, as they are now."""
        with self._lock:
            return list(self._facts)
