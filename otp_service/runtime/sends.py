"""Where the sends of a worker run: in threads of a pool, or in an event loop that all of them share.

In the loop a send costs no thread while it waits for the store or the carrier, nobody waits for the interpreter, and
the commands of all sends leave together.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from .. import greenlets

Work = Callable[[], None]
"""Must not raise."""

_Job = tuple[Work, Work]
_RESOLVERS = 4
_STOP_S = 1.0


class Sends(Protocol):
    """Runs work, so much at once. Safe for many threads."""

    def submit(self, work: Work, ended: Work) -> None:
        """Run it when there is room. `ended` is called when it has ended, or when it will never be run."""
        ...

    def start_no_more(self) -> None:
        """Of what has no room yet, `ended` is called before this returns. What runs goes on."""
        ...


class ThreadedSends:
    """Each send in a thread of a pool."""

    def __init__(self, concurrency: int) -> None:
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="deliver")

    def submit(self, work: Work, ended: Work) -> None:
        """Run it in a thread that is free."""

        def done(_: Future[None]) -> None:
            ended()

        try:
            # The callback also runs for work that still waits when the pool is shut down.
            self._pool.submit(work).add_done_callback(done)
        except RuntimeError:  # `start_no_more` was called meanwhile
            ended()

    def start_no_more(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class LoopedSends:
    """All sends in one event loop, in a thread of its own, in greenlets that run one after the other.

    A greenlet that is free takes the next work, so that what belongs to it (its connection to the carrier) is used
    again; of several the one that became free last.
    """

    def __init__(self, concurrency: int, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._lock = threading.Lock()
        self._room = concurrency
        self._waiting: deque[_Job] = deque()
        self._is_ending = False
        self._free: list[Callable[[_Job], Any]] = []
        """Resumes a greenlet that is free. For the loop only."""

        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")
        loop.set_default_executor(self._resolvers)
        self._thread = threading.Thread(target=self._run, name="sends", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def submit(self, work: Work, ended: Work) -> None:
        """Run it in the loop."""
        with self._lock:
            is_ending, has_room = self._is_ending, self._room > 0
            if not is_ending and has_room:
                self._room -= 1
            elif not is_ending:
                self._waiting.append((work, ended))
        if is_ending:
            ended()
        elif has_room:
            self.loop.call_soon_threadsafe(self._begin, (work, ended))

    def _begin(self, job: _Job) -> None:
        if self._free:
            self._free.pop()(job)
        else:
            greenlets.start(partial(self._work, job))

    def _work(self, job: _Job) -> None:
        while True:
            work, ended = job
            try:
                work()
            finally:
                ended()
            job = self._next() or greenlets.wait(self._free.append)

    def _next(self) -> _Job | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._room += 1
            return None

    def start_no_more(self) -> None:
        """Begin no more."""
        with self._lock:
            self._is_ending = True
            left = list(self._waiting)
            self._waiting.clear()
        for _, ended in left:
            ended()

    def close(self) -> None:
        """End the loop, and with it what still runs."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)
        # One more iteration, in which the loop's connections notice that they are closed.
        self.loop.call_soon_threadsafe(self.loop.call_later, 0, self.loop.stop)
        self._thread.join(_STOP_S)

    # ---- for the work itself ---------------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Suspend the work."""

        def begin(resume: Callable[[None], Any]) -> None:
            self.loop.call_later(seconds, resume, None)

        greenlets.wait(begin)
