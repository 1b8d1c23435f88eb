"""How the threads of one process share it: few work, many may wait.

WSGI cannot suspend a request, so one that waits (for news, or for its own body) keeps a thread; but a sleeping thread
costs only its stack. A process therefore has many threads, and only as many as the gate has places work at a time:
more would only interrupt one another. The parts add up to all threads there are (`threads_needed`), so whatever waits,
a thread that could work is never taken by it.

Passing either tool costs a fraction of a microsecond where nobody has to wait; `threading.Semaphore` costs more.

Not here: what work is (`endpoint`), and waiting for news (`usecases.watch`).
"""

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue

from ..domain.errors import NotReady

WORKING = 4
"""Requests of one process that work at a time, unless told otherwise: more make waiting requests interrupt running
ones, fewer let a slow store block health."""

WATCHING = 64
"""Requests of one process that may wait for news."""

CALLERS = 24
STRANGERS = 8
"""Bodies of one process that may be on their way: of requests with a valid key, and of those without one."""


IN_LINE = 128
"""Requests of one process that may wait for their turn to work; a further one is refused at once."""

SPARE = 4
"""Threads for what never waits: /healthz, and saying no."""


def threads_needed(working: int) -> int:
    """The threads of a process in which `working` requests may work."""
    return requests_at_once(working) + SPARE


def requests_at_once(working: int) -> int:
    """The requests of such a process that may be under way, waiting or not."""
    return working + IN_LINE + WATCHING + CALLERS + STRANGERS


class WorkLimiter:
    """Work is done inside: `with gate: …`. In there `with gate.aside: …` gives the place to others for a while.

    Places are handed on in the order of arrival: a free for all would let some wait many turns under load.
    """

    def __init__(self, places: int = WORKING) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._line: deque[threading.Lock] = deque()
        self.released = _Aside(self)

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._line.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            # A place is free only while nobody stands in line.
            if self._line:
                self._line.popleft().release()
            else:
                self._free += 1


class Door:
    """How many requests are under way at once. Raises NotReady at once for one too many."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._free:
                raise NotReady("Too many requests are under way.")
            self._free -= 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._free += 1


class _Aside:
    """The gate from inside."""

    def __init__(self, limiter: WorkLimiter) -> None:
        self._limiter = limiter

    def __enter__(self) -> None:
        self._limiter.__exit__()

    def __exit__(self, *_: object) -> None:
        self._limiter.__enter__()


class BodyLimiter:
    """How many bodies are read at once. Each holds a thread for as long as its sender likes.

    Inside (`with turnstile: …`) a body may be read. Raises NotReady for one that does not get in within a moment; for
    a while after that nobody waits, either.
    """

    def __init__(self, places: int, patience_s: float = 0.25, closed_s: float = 1.0) -> None:
        self._free = _places(places)
        self._patience_s = patience_s
        self._closed_s = closed_s
        self._closed_until = 0.0

    def __enter__(self) -> None:
        try:
            self._free.get_nowait()
        except Empty:
            self._wait()

    def _wait(self) -> None:
        patience_s = self._patience_s if time.monotonic() >= self._closed_until else 0.0
        try:
            self._free.get(timeout=patience_s)
        except Empty:
            self._closed_until = time.monotonic() + self._closed_s
            raise NotReady("Too many bodies arrive too slowly.") from None

    def __exit__(self, *_: object) -> None:
        self._free.put(None)


class Threads:
    """What divides one process's threads: `door` for all requests that may wait, `gate` for work, a turnstile for
    callers' bodies and one for strangers'.
    """

    def __init__(self, working: int = WORKING) -> None:
        self.door = Door(requests_at_once(working))
        self.limiter = WorkLimiter(working)
        self.callers = BodyLimiter(CALLERS)
        self.strangers = BodyLimiter(STRANGERS)


def _places(number: int) -> "SimpleQueue[None]":
    free: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        free.put(None)
    return free
