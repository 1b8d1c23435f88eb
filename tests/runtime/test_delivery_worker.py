"""The worker's loops: how much is in flight, the heartbeat, and that one bad delivery stops no other."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, Timer
from otp_service.runtime import delivery_worker, timer_runner
from otp_service.runtime.delivery_worker import DeliveryWorker
from tests.conftest import wait_until
from tests.fakes import FakeStreams

SHARDS = 4
LONG_S = 120.0
"""For what is let go by the test: never over before, on whatever machine."""


def job(number: int, shard: int = 0) -> Job:
    """The n-th entry of a shard."""
    return Job(shard, f"{number}-0", Reference(f"{number:a>32}", "00"), 1)


class FakeDeliver:
    """Deliveries that last until the test lets them go."""

    def __init__(self, send: Callable[[Job], None]) -> None:
        self._send = send
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0
        self.done: list[Job] = []
        self.attended: list[Timer] = []
        self.attend_: Callable[[Timer], str | None] = lambda _: None
        self.asked: list[tuple[Timer, str]] = []
        self.ask_: Callable[[Timer], None] = lambda _: None

    def send(self, one: Job) -> None:
        """Count how many run at once."""
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self._send(one)
        finally:
            with self.lock:
                self.now -= 1
                self.done.append(one)

    @property
    def held(self) -> "FakeDeliver":
        """And what a breaker made wait."""
        return self

    def released(self) -> list[tuple[Timer, int]]:
        """Nothing."""
        return []

    @property
    def timers(self) -> "FakeDeliver":
        """What runs timers: this, too."""
        return self

    def poll_report(self, due: Timer, message_id: str) -> None:
        """A question to the carrier."""
        self.asked.append((due, message_id))
        self.ask_(due)

    def run(self, due: Timer) -> str | None:
        """A timer."""
        self.attended.append(due)
        return self.attend_(due)


@contextmanager
def running(
    outbox: FakeStreams, deliver: FakeDeliver, concurrency: int = 4, at_once: threading.Event | None = None
) -> Iterator[threading.Event]:
    """A worker that runs in a thread until the end of the block."""
    stop = threading.Event()
    made = DeliveryWorker(
        cast("Any", outbox),
        cast("Any", outbox),
        cast("Any", deliver),
        concurrency=concurrency,
        periodic_tasks=(),
        close=lambda: None,
    )
    thread = threading.Thread(target=made.run, args=(stop, at_once))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(LONG_S)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that comes every few seconds comes every few milliseconds."""
    for name, value in {"HEARTBEAT_S": 0.01, "TOUCH_S": 0.02, "TAKE_OVER_S": 0.03, "BLOCK_S": 0.02}.items():
        monkeypatch.setattr(delivery_worker, name, value)


@pytest.mark.parametrize("together", [True, False])
def test_everything_is_sent_and_never_too_much_at_once(together: bool) -> None:
    """However many streams a read covers, `concurrency` sends run at once and twice as many are held at most."""
    outbox = FakeStreams(together=together)
    for shard in range(SHARDS):
        outbox.streams[shard] = [job(n, shard) for n in range(50)]
    held = []

    def send(_: Job) -> None:
        held.append(4 * 50 - outbox.depth() - len(deliver.done))
        time.sleep(0.001)

    deliver = FakeDeliver(send)
    with running(outbox, deliver):
        wait_until(lambda: len(deliver.done) == 200)
    assert deliver.most == 4
    assert max(held) <= 2 * 4 + SHARDS
    assert len(set(deliver.done)) == 200


def test_a_busy_worker_still_has_a_heartbeat() -> None:
    """With all threads busy, entries in flight are touched and timers run; neither waits for a free thread."""
    outbox = FakeStreams()
    outbox.streams[0] = [job(n) for n in range(4)]
    decision = threading.Event()
    deliver = FakeDeliver(lambda _: cast("None", decision.wait(LONG_S)))
    with running(outbox, deliver):
        wait_until(lambda: deliver.now == 4)
        outbox.touched.clear()
        wait_until(lambda: len(outbox.touched) >= 5, what="five touches")
        assert {one.entry for one in outbox.touched[-1][1]} == {f"{n}-0" for n in range(4)}
        due = Timer(0, "retry", Reference("a" * 32, "00"), 1)
        outbox.dues = [due]
        wait_until(lambda: deliver.attended == [due])
        decision.set()


def test_what_a_dead_worker_left_is_worked_under_full_load() -> None:
    """Stale entries do not starve behind an endless stream of new ones."""
    outbox = FakeStreams()
    outbox.streams[0] = [job(n) for n in range(100_000)]
    outbox.stale = [job(n, 3) for n in range(200_000, 200_003)]
    left = set(outbox.stale)
    deliver = FakeDeliver(lambda _: time.sleep(0.005))
    with running(outbox, deliver):
        wait_until(lambda: left <= set(deliver.done))


def test_what_is_in_flight_already_is_not_begun_twice() -> None:
    """An entry that comes back to its own worker as stale is already under way."""
    outbox = FakeStreams()
    outbox.streams[0] = [job(1)]
    decision = threading.Event()
    deliver = FakeDeliver(lambda _: cast("None", decision.wait(LONG_S)))
    with running(outbox, deliver):
        wait_until(lambda: deliver.now == 1)
        outbox.stale = [job(1)]
        wait_until(lambda: not outbox.stale)
        decision.set()
        wait_until(lambda: deliver.done)
        time.sleep(0.05)
    assert deliver.done == [job(1)]


def test_what_was_given_in_a_lost_answer_is_taken_up_at_once() -> None:
    """After a failure of the store a worker asks for its own entries: they need not lie until they count as stale."""
    outbox, deliver = FakeStreams(), FakeDeliver(lambda _: None)
    outbox.own.append(job(1))
    with running(outbox, deliver):
        time.sleep(0.2)
        assert deliver.done == []
        outbox.failing = 1
        wait_until(lambda: deliver.done == [job(1)])


def test_a_store_that_refuses_a_send_is_not_asked_again_at_once() -> None:
    """It may have too much to do. New entries go on meanwhile."""
    tries: list[float] = []

    class Streams(FakeStreams):
        def read_pending(self, shards: Sequence[int], count: int) -> list[Job]:
            return [job(0)] if tries else []

    outbox = Streams()
    outbox.streams[0] = [job(n) for n in range(100_000)]

    def send(one: Job) -> None:
        if one == job(0):
            tries.append(time.monotonic())
            raise StoreUnavailable("too much to do")
        time.sleep(0.001)

    deliver = FakeDeliver(send)
    with running(outbox, deliver):
        wait_until(lambda: len(tries) >= 4)
        waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert sum(waits) >= (len(waits) - 1) * delivery_worker.AGAIN_S
    assert len(deliver.done) > 10


@pytest.mark.parametrize("error", [StoreUnavailable("down"), ValueError("a bug")])
def test_one_bad_delivery_stops_no_other(error: Exception) -> None:
    """An outage or a defect in one job is logged; its thread is free again and the others go on."""
    outbox = FakeStreams()
    outbox.streams[0] = [job(n) for n in range(40)]
    numbers = itertools.count()

    def send(_: Job) -> None:
        if next(numbers) % 2:
            raise error

    deliver = FakeDeliver(send)
    with running(outbox, deliver):
        wait_until(lambda: len(deliver.done) == 40)


def test_an_outage_of_the_store_is_outlived() -> None:
    """Neither the opening nor a read that fails ends the worker."""
    outbox = FakeStreams()
    outbox.failing = 2
    deliver = FakeDeliver(lambda _: None)
    with running(outbox, deliver):
        outbox.streams[0] = [job(1)]
        wait_until(lambda: deliver.done)


def test_the_end_waits_for_what_is_being_sent_and_the_rest_is_handed_back() -> None:
    """Stopping finishes the sends under way, which are kept from others; what was only held is handed back at once."""
    outbox = FakeStreams()
    for shard in range(SHARDS):
        outbox.streams[shard] = [job(n, shard) for n in range(10)]
    decision = threading.Event()
    deliver = FakeDeliver(lambda _: cast("None", decision.wait(LONG_S)))
    with running(outbox, deliver, concurrency=2) as stop:
        wait_until(lambda: deliver.now == 2)
        stop.set()
        wait_until(lambda: len(outbox.kept) == 2)
        outbox.touched.clear()
        wait_until(lambda: len(outbox.touched) > 1)
        decision.set()
    sent = {one.entry for one in deliver.done}
    assert len(deliver.done) == 2
    assert [{one.entry for one in kept} for kept in outbox.kept] == [sent, sent, set()]
    assert {one.entry for one in outbox.touched[-1][1]} <= sent


def test_a_broken_loop_ends_the_whole_worker() -> None:
    """Half a worker would be worse than none: the fault is raised where it was started."""

    class Broken(FakeStreams):
        def due(self, count: int) -> list[Timer]:
            raise ValueError("a bug")

    broken = Broken()
    made = DeliveryWorker(
        cast("Any", broken),
        cast("Any", broken),
        cast("Any", FakeDeliver(lambda _: None)),
        concurrency=1,
        periodic_tasks=(),
        close=lambda: None,
    )
    with pytest.raises(ValueError, match="a bug"):
        made.run(threading.Event())


def test_a_second_request_ends_it_without_the_sends_in_flight() -> None:
    """Whoever asks twice does not wait for the carrier."""
    outbox, decision, at_once = FakeStreams(), threading.Event(), threading.Event()
    outbox.streams[0] = [job(1)]
    deliver = FakeDeliver(lambda _: cast("None", decision.wait(LONG_S)))
    try:
        with running(outbox, deliver, at_once=at_once) as stop:
            wait_until(lambda: deliver.now == 1)
            stop.set()
            at_once.set()
        assert not deliver.done
    finally:
        decision.set()


# ---- timers -------------------------------------------------------------------------------------------------------


def timer(kind: str, number: int = 1) -> Timer:
    """A timer that has come."""
    return Timer(0, kind, Reference(f"{number:a>32}", "00"), 0 if kind == "expiry" else 1)


@pytest.mark.parametrize("error", [StoreUnavailable("one record"), ValueError("a bug")])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("kind", ["expiry", "retry", "poll", "failover", "closing"])
def test_a_timer_that_fails_is_put_off_and_stops_no_other(kind: str, error: Exception, down: bool) -> None:
    """Of each kind: it comes again later, those behind it are run in the same round, the heartbeat goes on."""
    bad, good = timer(kind), [timer(each, 2) for each in "xrpfc"]
    outbox = FakeStreams()
    outbox.down_for_timers = down
    outbox.dues = [bad, *good]
    deliver = FakeDeliver(lambda _: None)

    def attend(due: Timer) -> None:
        if due == bad:
            raise error

    deliver.attend_ = attend
    with running(outbox, deliver):
        wait_until(lambda: set(deliver.attended) == {bad, *good})
        wait_until(lambda: outbox.put_offs)
        outbox.streams[0] = [job(1)]
        wait_until(lambda: deliver.done)
        outbox.dues = [bad]
        wait_until(lambda: len(outbox.put_offs) == 2)
    assert outbox.put_offs == [(bad, timer_runner.PUT_OFF_MS)] * 2


def test_asking_the_carrier_holds_up_no_other_timer() -> None:
    """Polls are claimed in the heartbeat and made in other threads; those beyond the bound wait for the next round."""
    asking = [timer("poll", number) for number in range(1, timer_runner.POLLERS + 2)]
    outbox, deliver, decision = FakeStreams(), FakeDeliver(lambda _: None), threading.Event()
    deliver.attend_ = lambda due: "m1" if due.kind == "poll" else None

    def ask(_: Timer) -> None:
        decision.wait(LONG_S)

    deliver.ask_ = ask
    with running(outbox, deliver):
        outbox.dues = [*asking, timer("retry", 30), timer("expiry", 40), timer("closing", 50)]
        wait_until(lambda: len(deliver.attended) >= len(asking) + 3, what="the others")
        wait_until(lambda: len(deliver.asked) == timer_runner.POLLERS)
        outbox.dues = [timer("poll", 60)] * (timer_runner.MAX_POLLS + 50)
        wait_until(lambda: len(deliver.attended) >= timer_runner.MAX_POLLS + 50)
        decision.set()
