"""Reading in the background what every request needs to know, so that no request waits for it.

One thread for each process. It lives for as long as the process; after a fork, or if it ever ended, the first request
that finds what is known too old starts it again. A reading that fails changes nothing: what is known grows old, and
requests read for themselves.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from ..domain.errors import StoreUnavailable

EVERY_S = 0.25

_log = logging.getLogger("otp.store")


class BackgroundReading:
    """Repeats readings every `EVERY_S` seconds in a thread of its own. Safe for many threads."""

    def __init__(self, readings: Sequence[Callable[[], object]]) -> None:
        self._readings = readings
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read from now on, if nobody does."""
        # Never waits: a request calls this, and a fork may have copied the lock while it was held.
        if self._stopped.is_set() or not self._lock.acquire(blocking=False):
            return
        try:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="background-reading", daemon=True)
                self._thread.start()
        finally:
            self._lock.release()

    def stop(self) -> None:
        """Read no more, for good."""
        self._stopped.set()

    def _run(self) -> None:
        while True:
            for read in self._readings:
                self._once(read)
            if self._stopped.wait(EVERY_S):
                return

    def _once(self, read: Callable[[], object]) -> None:
        try:
            read()
        except StoreUnavailable:
            pass  # whoever needs it says so
        except Exception:  # noqa: BLE001 - the next reading may succeed, and requests read for themselves
            _log.exception("a background reading failed")
