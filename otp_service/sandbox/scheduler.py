"""Runs actions at a later time: one thread and one heap of (time, action).

Actions must be short: change a status, queue a webhook. An action that raises is dropped; the others still run.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable

from otp_service.sandbox.clock import Clock

# A clock that tests set does not notify the scheduler, so the clock is read at least this often.
_MAX_WAIT_S = 0.5
# Actions are short. A reset that waits for one must end even so.
_MAX_ACTION_S = 5.0


class Scheduler:
    """Runs actions in order of their time, on one daemon thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._acting = False
        self._resetting = 0
        self._closed = False

    def run_at(self, time_s: float, action: Callable[[], None]) -> None:
        """Run `action` at `time_s` (seconds since the epoch), or now if that has passed."""
        with self._changed:
            if self._closed or self._resetting:
                return
            self._start_thread()
            heapq.heappush(self._heap, (time_s, next(self._order), action))
            if self._heap[0][2] is action:
                self._changed.notify_all()

    def run_after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` in `delay_s` seconds."""
        self.run_at(self._clock.now() + delay_s, action)

    def wake(self) -> None:
        """Read the clock again, because a test set it."""
        with self._changed:
            self._changed.notify_all()

    def reset(self) -> None:
        """Drop all waiting actions, and wait for the one that has begun: it may still change what a reset forgets."""
        with self._changed:
            self._heap.clear()
            if threading.current_thread() is not self._thread:
                # What it puts off is dropped too.
                self._resetting += 1
                self._changed.wait_for(lambda: not self._acting or self._closed, _MAX_ACTION_S)
                self._resetting -= 1

    def close(self) -> None:
        """Stop the thread. After this returns only an action that has already begun still runs."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify_all()

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sandbox-scheduler", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            # An action that fails must not end the thread, or nothing would be delivered any more.
            with contextlib.suppress(Exception):
                action()
            with self._changed:
                self._acting = False
                self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed:
                if not self._heap:
                    self._changed.wait()
                    continue
                wait_s = self._heap[0][0] - self._clock.now()
                if wait_s <= 0:
                    self._acting = True
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(min(wait_s, _MAX_WAIT_S))
        return None
