"""Things that happen later: one thread, one heap of (moment, action).

Actions are short (change a status, hand a webhook to the pool); an action that raises is dropped and the rest
goes on. `reset` forgets everything that is still to come.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable

from otp_service.sandbox.clock import Clock

# With a clock that tests move by hand, nobody tells us that time has passed: look again at this interval.
_LONGEST_NAP_S = 0.5


class Timeline:
    """Runs actions at moments of the given clock, in order, on one daemon thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Run `action` at `moment` (seconds since the epoch), or at once if it has passed."""
        with self._changed:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sandbox-timeline", daemon=True)
                self._thread.start()
            heapq.heappush(self._heap, (moment, next(self._order), action))
            if self._heap[0][2] is action:
                self._changed.notify()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` in `delay_s` seconds."""
        self.at(self._clock.now() + delay_s, action)

    def poke(self) -> None:
        """Look at the clock again: it was moved."""
        with self._changed:
            self._changed.notify()

    def reset(self) -> None:
        """Forget all that is still to come."""
        with self._changed:
            self._heap.clear()

    def close(self) -> None:
        """Stop the thread; nothing runs after this returns, except an action already begun."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            # One bad action must not silence the carrier.
            with contextlib.suppress(Exception):
                action()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed:
                if not self._heap:
                    self._changed.wait()
                    continue
                nap = self._heap[0][0] - self._clock.now()
                if nap <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(min(nap, _LONGEST_NAP_S))
        return None
