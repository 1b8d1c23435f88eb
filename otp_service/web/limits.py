"""How the threads of one process are shared: few requests work at a time, many may wait.

WSGI cannot suspend a request, so one that waits (for news, or for its own body) keeps a thread; but a sleeping thread
costs only its stack. A process therefore has many threads, and the work limiter has few slots: more would only
interrupt one another. The limits add up to the number of threads (`threads_needed`), so a thread that could work is
never taken by a request that waits.

Not here: what counts as work (`endpoint`), and waiting for news (`usecases.watch`).
"""

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue

from ..domain.errors import NotReady

WORKING = 4
"""Requests of one process that work at a time by default: more make waiting requests interrupt running
ones, fewer let a slow store block health."""

WATCHING = 64
"""Requests of one process that may wait for news."""

BODIES_WITH_KEY = 24
BODIES_WITHOUT_KEY = 8
"""Bodies that one process may be receiving: of requests with a valid API key, and of those without one."""


QUEUED = 128
"""Requests of one process that may wait for their turn to work; a further one is refused at once."""

SPARE = 4
"""Threads for what never waits: /healthz, and refusals."""


def threads_needed(working: int) -> int:
    """The threads of a process in which `working` requests may work."""
    return requests_at_once(working) + SPARE


def requests_at_once(working: int) -> int:
    """The requests of such a process that may be under way, waiting or not."""
    return working + QUEUED + WATCHING + BODIES_WITH_KEY + BODIES_WITHOUT_KEY


class WorkLimiter:
    """Work is done inside: `with limiter: …`. There, `with limiter.released: …` frees the slot for a while.

    Slots are given in the order of arrival. Otherwise some requests would wait many turns under load.
    """

    def __init__(self, slots: int = WORKING) -> None:
        self._free = slots
        self._lock = threading.Lock()
        self._queue: deque[threading.Lock] = deque()
        self.released = _Released(self)

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._queue.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            # A slot is free only while no request is queued.
            if self._queue:
                self._queue.popleft().release()
            else:
                self._free += 1


class RequestLimiter:
    """How many requests may be in flight. Raises NotReady at once for one too many."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._free:
                raise NotReady("Too many requests are under way.")
            self._free -= 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._free += 1


class _Released:
    """Frees the slot of a request that works, and takes one again."""

    def __init__(self, limiter: WorkLimiter) -> None:
        self._limiter = limiter

    def __enter__(self) -> None:
        self._limiter.__exit__()

    def __exit__(self, *_: object) -> None:
        self._limiter.__enter__()


class BodyLimiter:
    """How many bodies are read at once. Each holds a thread for as long as its sender likes.

    Inside (`with limiter: …`) a body may be read. Raises NotReady if there is no slot within a moment. For a while
    after that it raises at once.
    """

    def __init__(self, slots: int, patience_s: float = 0.25, closed_s: float = 1.0) -> None:
        self._free = _slots(slots)
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
    """The limiters of one process: `requests` for all that may wait, `limiter` for work, and two for bodies."""

    def __init__(self, working: int = WORKING) -> None:
        self.requests = RequestLimiter(requests_at_once(working))
        self.limiter = WorkLimiter(working)
        self.bodies_with_key = BodyLimiter(BODIES_WITH_KEY)
        self.bodies_without_key = BodyLimiter(BODIES_WITHOUT_KEY)


def _slots(number: int) -> "SimpleQueue[None]":
    free: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        free.put(None)
    return free
