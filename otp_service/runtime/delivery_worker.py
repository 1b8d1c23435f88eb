"""The delivery worker: takes entries from the outbox and sends them to the carrier.

Readers take entries only while there is room for a send. A heartbeat marks the entries in flight as alive, takes over
the entries of dead workers and runs timers; it never waits for room. Nothing that matters is only in this
process: it may be killed at any moment.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from ..domain.errors import StoreUnavailable
from ..domain.outbox import Job
from ..storage.outbox import Outbox
from ..storage.timers import Timers
from ..usecases.delivery_timers import DeliveryTimers
from ..usecases.held_deliveries import HeldDeliveries
from . import periodic_tasks as tasks
from .in_flight import InFlight
from .periodic_tasks import PeriodicTask
from .sends import Sends, ThreadedSends
from .timer_runner import TimerRunner

HEARTBEAT_S = 0.2
TOUCH_S = 1.5
TAKE_OVER_S = 0.5
"""How soon another worker takes what one has handed back."""

BLOCK_S = 1.0
DRAIN_S = 10.0
"""At the end, for sends in flight. Longer than one exchange with the carrier (`telnyx.transport.Timeouts`)."""

DRAIN_LOOK_S = 0.02
ROOM_TIMEOUT_S = 0.2
DUE_TIMERS = 100
MISSED_S = 5.0
"""For so long after a failure of the store, a worker looks for entries that are its own and not in flight."""

AGAIN_S = 0.25
"""Not more often than this: a store that refuses because it has too much to do must not get more."""

_log = logging.getLogger("otp.worker")


class Delivers(Protocol):
    """What a worker does with entries and with timers that are due."""

    def send(self, job: Job) -> None:
        """Work on one entry until its outcome is recorded. Raises StoreUnavailable."""
        ...

    @property
    def timers(self) -> DeliveryTimers:
        """Runs timers."""
        ...

    @property
    def held(self) -> HeldDeliveries:
        """What waits for a breaker."""
        ...


class DeliveryWorker:
    """The worker of one process. `concurrency` is the number of sends at once.

    As many again may wait for room: one read covers several streams, and its count is per stream.
    """

    def __init__(
        self,
        outbox: Outbox,
        timers: Timers,
        deliver: Delivers,
        *,
        concurrency: int,
        periodic_tasks: Sequence[PeriodicTask] = (),
        close: Callable[[], None],
        sends: Sends | None = None,
    ) -> None:
        """`sends`: where `deliver.send` runs; in threads if not given."""
        self._outbox = outbox
        self._concurrency = concurrency
        self._periodic_tasks = periodic_tasks
        self._close = close
        sends = sends or ThreadedSends(concurrency)
        self._in_flight = InFlight(deliver.send, sends, concurrency, lambda shard: self._missed([shard]))
        self._timers = timers
        self._timer_runner = TimerRunner(timers, deliver.timers, deliver.held)
        self._fault: Exception | None = None
        self._missed_until: dict[int, float] = {}

    def run(self, stop: threading.Event, at_once: threading.Event | None = None) -> None:
        """Work until `stop` is set, then hand back what was not begun and finish what is in flight.

        That takes some seconds at most. `at_once` ends it sooner: what is in flight is left as if the process had died.
        """
        self._until_open(stop)
        groups = self._outbox.shard_groups()
        share = max(1, self._concurrency // sum(len(group) for group in groups))
        loops = [self._thread(stop, partial(self._read, group, share, stop)) for group in groups]
        loops.append(self._thread(stop, partial(self._heartbeat, share, stop)))
        for loop in loops:
            loop.start()
        _log.info("worker started")
        for task in self._periodic_tasks:
            tasks.start(task, stop, partial(self._end, stop))
        stop.wait()
        self._take_no_more(loops)
        self._finish(at_once or threading.Event())

    def _take_no_more(self, loops: Sequence[threading.Thread]) -> None:
        self._in_flight.start_no_more()
        self._hand_back()
        for loop in loops:
            loop.join()
        with contextlib.suppress(StoreUnavailable):
            self._timer_runner.start_no_more()
        # Once more: a read that was waiting may have taken some.
        self._hand_back()

    def _hand_back(self) -> None:
        for shards in self._outbox.shard_groups():
            with contextlib.suppress(StoreUnavailable):
                self._outbox.hand_back(shards, self._in_flight.jobs())

    def _finish(self, at_once: threading.Event) -> None:
        self._drain(at_once)
        # What failed meanwhile, because the store did not answer.
        self._hand_back()
        self._close()
        _log.info("worker stopped")
        if self._fault is not None:
            raise self._fault

    def _drain(self, at_once: threading.Event) -> None:
        touch, deadline = _Every(TOUCH_S), time.monotonic() + DRAIN_S
        while self._is_working() and time.monotonic() < deadline and not at_once.wait(DRAIN_LOOK_S):
            if touch.due():
                with contextlib.suppress(StoreUnavailable):
                    self._touch()

    def _is_working(self) -> bool:
        return len(self._in_flight) + len(self._timer_runner) > 0

    def _end(self, stop: threading.Event, fault: Exception) -> None:
        self._fault = fault
        stop.set()

    def _thread(self, stop: threading.Event, loop: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                loop()
            except Exception as error:  # noqa: BLE001 - a worker without one of its loops must end with the error
                self._end(stop, error)

        return threading.Thread(target=guarded)

    def _until_open(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._outbox.open()
            except StoreUnavailable:
                _log.warning("the store does not answer; trying again")
                stop.wait(0.5)
            else:
                return

    # ---- reading -----------------------------------------------------------------------------------------------------

    def _read(self, shards: Sequence[int], share: int, stop: threading.Event) -> None:
        again = _Every(AGAIN_S)
        while not stop.is_set():
            if not self._in_flight.wait_for_room(ROOM_TIMEOUT_S):
                continue
            try:
                if any(time.monotonic() < self._missed_until.get(shard, 0.0) for shard in shards) and again.due():
                    self._in_flight.start(self._outbox.read_pending(shards, self._concurrency))
                jobs = self._outbox.read_new(shards, share, BLOCK_S)
            except StoreUnavailable:
                _log.warning("the store does not answer; trying again")
                self._missed(shards)
                stop.wait(0.5)
            else:
                self._in_flight.start(jobs)

    def _missed(self, shards: Sequence[int]) -> None:
        # The store may have given us entries in a response that was lost, or may do so when it answers again.
        self._missed_until |= dict.fromkeys(shards, time.monotonic() + MISSED_S)

    # ---- the heartbeat -----------------------------------------------------------------------------------------------

    def _heartbeat(self, share: int, stop: threading.Event) -> None:
        touch, take_over = _Every(TOUCH_S), _Every(TAKE_OVER_S)
        while not stop.wait(HEARTBEAT_S):
            # Each step alone: if one fails, for all shards or for one, the others go on.
            if touch.due():
                with contextlib.suppress(StoreUnavailable):
                    self._touch()
            with contextlib.suppress(StoreUnavailable):
                self._timer_runner.release_held()
            with contextlib.suppress(StoreUnavailable):
                self._timer_runner.run(self._timers.due(DUE_TIMERS))
            if take_over.due():
                self._take_over(share)

    def _touch(self) -> None:
        jobs = self._in_flight.jobs()
        if jobs:
            self._outbox.keep_claimed(jobs)

    def _take_over(self, share: int) -> None:
        # Taken without room, they wait: a dead worker's codes must not starve under load.
        if len(self._in_flight) < 2 * self._concurrency:
            shards = [shard for group in self._outbox.shard_groups() for shard in group]
            with contextlib.suppress(StoreUnavailable):
                self._in_flight.start(self._outbox.claim_stale(shards, share))


class _Every:
    """Whether a step of the heartbeat is due again."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._period_s:
            return False
        self._last = now
        return True
