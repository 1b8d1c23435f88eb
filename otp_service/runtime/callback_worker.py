"""The threads that send callbacks to the apps: one reads events, one looks for due callbacks, some send.

Each app has sending threads of its own: a receiver that does not answer delays its own callbacks, no others and no
code. The two loops are periodic tasks of the worker. Nothing that matters is only in this process: it may be killed at
any moment.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from ..domain.errors import StoreUnavailable
from ..usecases.send_callbacks import SendCallbacks

CONCURRENCY = 8
"""Callbacks that one process sends to one app at once."""

READ_PERIOD_S = 0.2
LOOK_PERIOD_S = 0.2
TAKE_OVER_S = 5.0
_log = logging.getLogger("otp.callbacks")


class CallbackWorker:
    """The callbacks of one process. `concurrency` is the number of callbacks to one app at once."""

    def __init__(
        self, notify: SendCallbacks, open_consumer: Callable[[], None], *, concurrency: int = CONCURRENCY
    ) -> None:
        self._notify = notify
        self._open_consumer = open_consumer
        self._concurrency = concurrency
        self._threads: dict[str, int] = {}
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._opened = False
        self._last_take_over = 0.0

    def read(self, stop: threading.Event) -> None:
        """Queue callbacks for events until there are no more. A periodic task. Raises StoreUnavailable."""
        with self._reading:
            self._read(stop)

    def _read(self, stop: threading.Event) -> None:
        if not self._opened:
            self._open_consumer()
            self._opened = True
        if time.monotonic() - self._last_take_over >= TAKE_OVER_S:
            self._last_take_over = time.monotonic()
            self._notify.announce()
            while not stop.is_set() and self._notify.collect(left_behind=True):
                pass
        while not stop.is_set() and self._notify.collect(left_behind=False):
            pass

    def look(self, stop: threading.Event) -> None:
        """Start threads for every app that has callbacks due. A periodic task. Raises StoreUnavailable."""
        for app, waiting in self._notify.due().items():
            for _ in range(self._reserve(app, waiting, stop)):
                # Not in a pool: the end of the process would wait for its threads, however long a receiver takes.
                threading.Thread(target=self._work, args=(app, stop), name=f"callback {app}", daemon=True).start()

    def _reserve(self, app: str, waiting: int, stop: threading.Event) -> int:
        """How many more threads the app gets; they are counted from now on."""
        with self._lock:
            running = self._threads.get(app, 0)
            wanted = min(self._concurrency, waiting) - running
            if stop.is_set() or wanted <= 0:
                return 0
            self._threads[app] = running + wanted
            return wanted

    def finish(self, timeout_s: float) -> None:
        """Wait a moment for events being read and callbacks being sent; what takes longer is handed back."""
        deadline = time.monotonic() + timeout_s
        if self._reading.acquire(timeout=timeout_s):
            self._reading.release()
        while any(self._threads.values()) and time.monotonic() < deadline:
            time.sleep(0.02)
        with contextlib.suppress(StoreUnavailable):
            self._notify.hand_back()

    def _work(self, app: str, stop: threading.Event) -> None:
        try:
            while not stop.is_set() and self._notify.send_next(app):
                pass
        except StoreUnavailable:
            # A claimed callback is due again after its lease.
            _log.warning("the store does not answer", extra={"app": app})
        except Exception:  # noqa: BLE001 - one bad callback must not stop the others
            _log.exception("a callback failed", extra={"app": app})
        finally:
            with self._lock:
                self._threads[app] -= 1
