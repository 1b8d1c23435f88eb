"""Running the timers of deliveries that are due. A timer that fails is put off and does not stop the others.

Polling the carrier for a missing delivery report takes time, so it has threads of its own.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ..domain.errors import StoreUnavailable
from ..domain.outbox import Timer
from ..storage.timers import Timers
from ..usecases.delivery_timers import DeliveryTimers
from ..usecases.held_deliveries import HeldDeliveries

PUT_OFF_MS = 5_000
"""A timer that failed is due again after this."""

POLLERS = 8
MAX_POLLS = 400
"""Polls for delivery reports that run or wait for a thread."""

T = TypeVar("T")
_log = logging.getLogger("otp.worker")


class TimerRunner:
    """Runs timers in the thread that calls it, and polls in threads of its own."""

    def __init__(self, timers: Timers, due: DeliveryTimers, held: HeldDeliveries) -> None:
        self._timers = timers
        self._due = due
        self._held = held
        self._pollers = ThreadPoolExecutor(POLLERS, thread_name_prefix="poll")
        self._slots = threading.BoundedSemaphore(MAX_POLLS)
        self._polls: dict[Future[None], Timer] = {}

    def run(self, timers: Sequence[Timer]) -> None:
        """Run these timers."""
        for timer in timers:
            # A shard that died since its timers were read costs one wait, not one for each timer.
            if not self._timers.is_paused(timer.shard):
                self._run_one(timer)

    def release_held(self) -> None:
        """Let what a breaker made wait come now if it has closed. Raises StoreUnavailable."""
        released = self._held.released()
        if released:
            self._timers.come_sooner(released)

    def __len__(self) -> int:
        """Polls that run, or wait for a thread."""
        return len(self._polls)

    def start_no_more(self) -> None:
        """Hand back the polls that have no thread yet. Those that run go on. Raises StoreUnavailable."""
        self._pollers.shutdown(wait=False, cancel_futures=True)
        left = [poll for poll in list(self._polls) if poll.cancelled()]
        self._timers.bring_forward([self._polls.pop(poll) for poll in left])

    def _run_one(self, timer: Timer) -> None:
        message_id = self._guarded(timer, lambda: self._due.run(timer))
        if message_id is None or not self._slots.acquire(blocking=False):
            return  # the carrier is so slow that no slot is free: a later round polls again
        try:
            poll = self._pollers.submit(self._guarded, timer, lambda: self._due.poll_report(timer, message_id))
        except RuntimeError:  # `start_no_more` was called meanwhile
            self._timers.bring_forward([timer])
        else:
            self._polls[poll] = timer
            poll.add_done_callback(self._finished)

    def _finished(self, poll: "Future[None]") -> None:
        self._slots.release()
        if not poll.cancelled():
            self._polls.pop(poll, None)

    def _guarded(self, timer: Timer, do: Callable[[], T]) -> T | None:
        try:
            return do()
        except StoreUnavailable:
            # The whole store or only this record, which must not block the others: it is due again later.
            _log.warning("a timer could not be run", extra={"delivery_id": _name(timer)})
            self._put_off(timer)
        except Exception:  # noqa: BLE001 - one bad timer must not stop the others
            _log.exception("a timer failed", extra={"delivery_id": _name(timer)})
            self._put_off(timer)
        return None

    def _put_off(self, timer: Timer) -> None:
        with contextlib.suppress(StoreUnavailable):
            self._timers.put_off(timer, PUT_OFF_MS)


def _name(timer: Timer) -> str:
    return timer.reference.delivery_id(timer.ordinal) if timer.ordinal else timer.reference.verification_id
