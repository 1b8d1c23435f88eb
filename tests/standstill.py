"""Notices that the machine stood still: a virtual machine may stop for a minute in the middle of a test.

Then every deadline in the test and in the service is over at once, and no test of real processes can tell that from a
fault. A test that fails although the machine ran is never excused.

The shortest deadline of the service is the 450 ms that its store may take. So a thread that could not run for 400 ms
counts, too.
"""

import threading
import time
from collections.abc import Callable

TICK_S = 0.05
STANDSTILL_S = 0.4


class Standstill:
    """A thread that wakes twenty times a second, and how late it ever was."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last = now()
        self._longest = 0.0

    def start(self) -> None:
        """Watch for as long as this process lives."""
        threading.Thread(target=self._watch, name="standstill", daemon=True).start()

    def forget(self) -> None:
        """A test begins: what was before is not its business."""
        self._longest = 0.0

    def tick(self) -> None:
        """This thread runs now."""
        now = self._now()
        self._longest = max(self._longest, now - self._last)
        self._last = now

    def seen(self) -> bool:
        """Whether the machine stood still since `forget`, be it until this moment."""
        return max(self._longest, self._now() - self._last) >= STANDSTILL_S

    def _watch(self) -> None:
        while True:
            time.sleep(TICK_S)
            self.tick()
