"""Where the sends of a worker run: in threads of a pool, or in an event loop that many of them share.

In the loop a send costs no thread while it waits for the store, and the commands of all sends leave together. Only its
request to the carrier blocks, so that is made in a thread (`LoopedSends.call`).
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from .. import greenlets

T = TypeVar("T")
Work = Callable[[], None]
"""Must not raise."""

_STOP_S = 1.0


class Sends(Protocol):
    """Runs work, so much at once. Safe for many threads."""

    def submit(self, work: Work, ended: Work) -> None:
        """Run it when there is room. `ended` is called when it has ended, or when it will never be run."""
        ...

    def start_no_more(self) -> None:
        """Of what has no room yet, `ended` is called before this returns. What runs goes on."""
        ...

    def close(self) -> None:
        """Give up the threads. Work that still runs is not waited for."""
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

    def close(self) -> None:
        """The threads end with their work."""


class LoopedSends:
    """All sends in one event loop, in a thread of its own, as work that `greenlets.start` begins."""

    def __init__(self, concurrency: int, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._lock = threading.Lock()
        self._room = concurrency
        self._waiting: deque[tuple[Work, Work]] = deque()
        self._is_ending = False
        self._calls = ThreadPoolExecutor(concurrency, thread_name_prefix="carrier")
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
            self.loop.call_soon_threadsafe(greenlets.start, partial(self._work, work, ended))

    def _work(self, work: Work, ended: Work) -> None:
        try:
            work()
        finally:
            ended()
            self._begin_next()

    def _begin_next(self) -> None:
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            if following is None:
                self._room += 1
        if following is not None:
            # Not from within the work that has ended, whose stack would grow.
            self.loop.call_soon(greenlets.start, partial(self._work, *following))

    def start_no_more(self) -> None:
        """Begin no more."""
        with self._lock:
            self._is_ending = True
            left = list(self._waiting)
            self._waiting.clear()
        for _, ended in left:
            ended()

    def close(self) -> None:
        """End the loop. A request that the carrier still has ends with its thread."""
        self._calls.shutdown(wait=False, cancel_futures=True)
        # One more iteration, in which the loop's connections notice that they are closed.
        self.loop.call_soon_threadsafe(self.loop.call_later, 0, self.loop.stop)
        self._thread.join(_STOP_S)

    # ---- for the work itself ---------------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Suspend the work."""

        def begin(resume: Callable[[None], Any]) -> None:
            self.loop.call_later(seconds, resume, None)

        greenlets.wait(begin)

    def call(self, do: Callable[[], T]) -> T:
        """Suspend the work until a thread has done this; returns its result. Raises what it raises."""
        future: Future[T] = greenlets.wait(partial(self._begin_call, do))
        return future.result()

    def _begin_call(self, do: Callable[[], T], resume: Callable[[Future[T]], Any]) -> None:
        def done(future: Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the carrier answered
                self.loop.call_soon_threadsafe(resume, future)

        self._calls.submit(do).add_done_callback(done)
