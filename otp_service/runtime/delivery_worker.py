"""The delivery worker: threads that take entries from the outbox and bring them to the carrier.

Readers take only while there are free hands. A pulse shows that what is in hand is alive, takes over what dead workers
left, and attends to timers; it never waits for a hand. Chores that are no deliveries (reading the carrier's list of
opt-outs, alerts) have threads of their own, so however slow they are, no code waits for them. Nothing that matters is
only in this process: it may be killed at any moment.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from .. import telemetry
from ..domain.errors import NotReady, ServiceError, StoreUnavailable
from ..domain.operation import Job, Timer
from ..storage.audit_log import AuditLog
from ..storage.outbox import Outbox
from ..usecases.deliver import Deliver

PULSE_S = 0.2
TOUCH_S = 1.5
TAKE_OVER_S = 2.0
TRIM_S = 600.0
BLOCK_S = 1.0
DRAIN_S = 6.0
MISSED_S = 5.0
"""For so long after a failure of the store, a worker looks for entries that are its own and in no hand."""

PUT_OFF_MS = 5_000
"""A timer that cannot be attended to comes again after this."""

ASKERS = 8
MOST_QUESTIONS = 400
"""Questions about silent deliveries that are under way or wait for a thread."""

T = TypeVar("T")
_log = logging.getLogger("otp.worker")


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do at once and then every `period_s` seconds. It is told of the worker's end and gives up then."""

    name: str
    period_s: float
    do: Callable[[threading.Event], object]


class Worker:
    """One process's share of the deliveries. `concurrency` bounds the sends at once.

    As many again may be held ready: one read looks at several streams and its count is per stream.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliver: Deliver,
        audit: AuditLog,
        *,
        concurrency: int,
        audit_retention_ms: int,
        periodic_tasks: Sequence[PeriodicTask] = (),
        close: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._audit = audit
        self._concurrency = concurrency
        self._retention_ms = audit_retention_ms
        self._periodic_tasks = periodic_tasks
        self._close = close
        self._hands: dict[tuple[int, str], Job] = {}
        self._places = threading.BoundedSemaphore(MOST_QUESTIONS)
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._fault: Exception | None = None
        self._missed_until: dict[int, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish what is in hand (a few seconds at most)."""
        self._until_open(stop)
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="deliver")
        askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="ask")
        lanes = self._outbox.reading_lanes()
        share = max(1, self._concurrency // sum(len(lane) for lane in lanes))
        loops = [self._thread(stop, partial(self._read, lane, share, pool, stop)) for lane in lanes]
        loops.append(self._thread(stop, partial(self._pulse, share, pool, askers, stop)))
        for loop in loops:
            loop.start()
        for chore in self._periodic_tasks:
            # Never waited for: a chore that is cut off goes on in another worker where it ended here.
            threading.Thread(target=self._keep_at, args=(chore, stop), name=chore.name, daemon=True).start()
        _log.info("worker started")
        stop.wait()
        for loop in loops:
            loop.join()
        self._drain(pool, askers)
        self._close()
        _log.info("worker stopped")
        if self._fault is not None:
            raise self._fault

    def _thread(self, stop: threading.Event, loop: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                loop()
            except Exception as error:  # noqa: BLE001 - half a worker would be worse than none: end, and say why
                self._fault = error
                stop.set()

        return threading.Thread(target=guarded)

    def _keep_at(self, chore: PeriodicTask, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                chore.do(stop)
            except NotReady as error:
                # The store has become another keyring's: what we took from it now would be lost.
                self._fault = error
                stop.set()
            except ServiceError as error:
                _log.warning("a chore could not be done", extra={"chore": chore.name, "reason": error.detail})
            except Exception:  # noqa: BLE001 - a chore must never stop the deliveries
                if not stop.is_set():  # at the end the carrier's client is closed under it
                    _log.exception("a chore failed", extra={"chore": chore.name})
            stop.wait(chore.period_s)

    def _until_open(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._outbox.open()
            except StoreUnavailable:
                _log.warning("the store does not answer; trying again")
                stop.wait(0.5)
            else:
                return

    def _drain(self, pool: ThreadPoolExecutor, askers: ThreadPoolExecutor) -> None:
        askers.shutdown(wait=False, cancel_futures=True)
        pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + DRAIN_S
        while self._hands and time.monotonic() < deadline:
            time.sleep(0.02)

    # ---- taking ----------------------------------------------------------------------------------------------------

    def _read(self, lane: Sequence[int], share: int, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._freed:
                if not self._freed.wait_for(lambda: len(self._hands) < self._concurrency, timeout=0.2):
                    continue
            try:
                if any(time.monotonic() < self._missed_until.get(shard, 0.0) for shard in lane):
                    self._hand_out(self._outbox.take_own(lane, self._concurrency), pool)
                jobs = self._outbox.take(lane, share, BLOCK_S)
            except StoreUnavailable:
                _log.warning("the store does not answer; trying again")
                self._missed(lane)
                stop.wait(0.5)
            else:
                self._hand_out(jobs, pool)

    def _missed(self, shards: Sequence[int]) -> None:
        # The store may have given us entries in an answer that never came, also some time from now, when it wakes.
        self._missed_until |= dict.fromkeys(shards, time.monotonic() + MISSED_S)

    def _hand_out(self, jobs: Sequence[Job], pool: ThreadPoolExecutor) -> None:
        for job in jobs:
            with self._lock:
                if (job.shard, job.entry) in self._hands:
                    continue
                self._hands[job.shard, job.entry] = job
            # Also called for what is still waiting when the pool is shut down.
            pool.submit(self._work, job).add_done_callback(partial(self._let_go, job))
        telemetry.WORKER_BUSY.set(len(self._hands))

    def _let_go(self, job: Job, _done: Future[None]) -> None:
        with self._freed:
            self._hands.pop((job.shard, job.entry), None)
            self._freed.notify_all()
        telemetry.WORKER_BUSY.set(len(self._hands))

    def _work(self, job: Job) -> None:
        try:
            self._deliver.send(job)
        except StoreUnavailable:
            # The entry stays ours, and is taken up again soon; if we die, others take it over.
            self._missed([job.shard])
            _log.warning("the store does not answer", extra={"delivery_id": job.reference.delivery_id(job.ordinal)})
        except Exception:  # noqa: BLE001 - one bad delivery must not stop the others
            self._missed([job.shard])
            _log.exception("a delivery failed", extra={"delivery_id": job.reference.delivery_id(job.ordinal)})

    # ---- the pulse -------------------------------------------------------------------------------------------------

    def _pulse(self, share: int, pool: ThreadPoolExecutor, askers: ThreadPoolExecutor, stop: threading.Event) -> None:
        last = {"touch": 0.0, "take over": 0.0, "trim": time.monotonic()}

        def every(name: str, period_s: float) -> bool:
            now = time.monotonic()
            if now - last[name] < period_s:
                return False
            last[name] = now
            return True

        while not stop.wait(PULSE_S):
            # Each by itself: what one step cannot do, for all shards or one, must not keep the others from going on.
            if every("touch", TOUCH_S):
                with contextlib.suppress(StoreUnavailable):
                    self._touch()
            with contextlib.suppress(StoreUnavailable):
                self._attend_all(self._outbox.due(100), askers)
            if every("take over", TAKE_OVER_S):
                self._take_over(share, pool)
            if every("trim", TRIM_S):
                with contextlib.suppress(StoreUnavailable):
                    self._audit.trim(self._retention_ms)

    def _touch(self) -> None:
        with self._lock:
            jobs = list(self._hands.values())
        if jobs:
            self._outbox.touch(jobs)

    def _take_over(self, share: int, pool: ThreadPoolExecutor) -> None:
        for lane in self._outbox.reading_lanes():
            for shard in lane:
                # Held without a free hand, they wait in the pool: a dead worker's codes must not starve under load.
                if len(self._hands) < 2 * self._concurrency:
                    with contextlib.suppress(StoreUnavailable):
                        self._hand_out(self._outbox.take_over(shard, share), pool)

    def _attend_all(self, dues: Sequence[Timer], askers: ThreadPoolExecutor) -> None:
        for due in dues:
            # A shard that has died since its timers were read costs one wait, and not one for each of them.
            if not self._outbox.rests(due.shard):
                self._attend(due, askers)

    def _attend(self, due: Timer, askers: ThreadPoolExecutor) -> None:
        message_id = self._guarded(due, lambda: self._deliver.timers.run(due))
        if message_id is None or not self._places.acquire(blocking=False):
            return  # of a carrier that is so slow, the next round will ask again
        # Asking the carrier takes its time: not in the pulse.
        askers.submit(self._guarded, due, lambda: self._deliver.timers.poll_report(due, message_id)).add_done_callback(
            lambda _: self._places.release()
        )

    def _guarded(self, due: Timer, do: Callable[[], T]) -> T | None:
        try:
            return do()
        except StoreUnavailable:
            # The store as a whole, or this one record, which must not keep the others waiting: it comes again.
            _log.warning("a timer could not be attended to", extra={"delivery_id": _name(due)})
            self._put_off(due)
        except Exception:  # noqa: BLE001 - one bad timer must not stop the others
            _log.exception("a timer failed", extra={"delivery_id": _name(due)})
            self._put_off(due)
        return None

    def _put_off(self, due: Timer) -> None:
        with contextlib.suppress(StoreUnavailable):
            self._outbox.put_off(due, PUT_OFF_MS)


def _name(due: Timer) -> str:
    return due.reference.delivery_id(due.ordinal) if due.ordinal else due.reference.verification_id
