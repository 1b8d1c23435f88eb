"""The threads that bring callbacks to the apps: one that reads events, one that looks what is due, and hands per app.

The hands of an app are its own: a receiver that hangs keeps its own callbacks waiting, nobody else's, and no code. The
two loops are chores of the worker. Nothing that matters is only in this process: it may be killed at any moment.
"""

import logging
import threading
import time
from collections.abc import Callable

from ..domain.errors import StoreUnavailable
from ..usecases.send_callbacks import SendCallbacks

HANDS = 8
"""Callbacks that one process sends to one app at once."""

READ_PERIOD_S = 0.2
LOOK_PERIOD_S = 0.2
TAKE_OVER_S = 5.0
_log = logging.getLogger("otp.callbacks")


class CallbackWorker:
    """One process's share of the callbacks."""

    def __init__(self, notify: SendCallbacks, open_feed: Callable[[], None], *, hands: int = HANDS) -> None:
        self._notify = notify
        self._open_feed = open_feed
        self._hands = hands
        self._busy: dict[str, int] = {}
        self._lock = threading.Lock()
        self._opened = False
        self._last_take_over = 0.0

    def read(self, stop: threading.Event) -> None:
        """Queue callbacks for events until there are no more. A chore. Raises StoreUnavailable."""
        if not self._opened:
            self._open_feed()
            self._opened = True
        if time.monotonic() - self._last_take_over >= TAKE_OVER_S:
            self._last_take_over = time.monotonic()
            while not stop.is_set() and self._notify.collect(left_behind=True):
                pass
        while not stop.is_set() and self._notify.collect(left_behind=False):
            pass

    def look(self, stop: threading.Event) -> None:
        """Put hands to work for every app that has something due. A chore. Raises StoreUnavailable."""
        for app, waiting in self._notify.due().items():
            with self._lock:
                wanted = min(self._hands, waiting) - self._busy.get(app, 0)
                if stop.is_set() or wanted <= 0:
                    continue
                self._busy[app] = self._busy.get(app, 0) + wanted
            for _ in range(wanted):
                # Not of a pool: the end of the process would wait for a pool's threads, however long a receiver hangs.
                threading.Thread(target=self._work, args=(app, stop), name=f"callback {app}", daemon=True).start()

    def finish(self, patience_s: float) -> None:
        """Wait a moment for what is being sent. What takes longer is sent again by another worker."""
        deadline = time.monotonic() + patience_s
        while any(self._busy.values()) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _work(self, app: str, stop: threading.Event) -> None:
        try:
            while not stop.is_set() and self._notify.send_next(app):
                pass
        except StoreUnavailable:
            # What was claimed comes again after its lease.
            _log.warning("the store does not answer", extra={"app": app})
        except Exception:  # noqa: BLE001 - one bad callback must not stop the others
            _log.exception("a callback failed", extra={"app": app})
        finally:
            with self._lock:
                self._busy[app] -= 1
