"""Waiting for news: who is woken by what, what is asked of the store, and how waits end that bring none."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import pytest

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.usecases.watch import EVERY_S, PAUSES, News, Watch
from tests.conftest import wait_until
from tests.fakes import FakeVerifications, verification_view

ONE, OTHER = Reference("a" * 32, "00" * 10), Reference("b" * 32, "11" * 10)
LONG_S = 60.0


class Scenario:
    """A store with versions, and a clock that moves when the test says so."""

    def __init__(self, slots: int = 8) -> None:
        self.store = FakeVerifications({ref: verification_view(ref, version=1) for ref in (ONE, OTHER)})
        self.counted: list[News] = []
        self.pauses: list[float] = []
        self.clock_s = 0.0
        self._ticks: SimpleQueue[bool] = SimpleQueue()
        self.watch = Watch(
            store=self.store,
            slots=slots,
            pause=self._pause,
            count=self.counted.append,
            monotonic=self._monotonic,
        )
        self._pool = ThreadPoolExecutor(32)

    def _pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return self._ticks.get(timeout=LONG_S)

    def _monotonic(self) -> float:
        """Each look takes a tenth of a second."""
        self.clock_s += 0.1
        return self.clock_s

    def change(self, ref: Reference, version: int) -> None:
        """The verification is of this version now."""
        self.store.views[ref] = verification_view(ref, version=version)

    def tick(self, *, ending: bool = False) -> None:
        """A pause is over."""
        self._ticks.put(ending)

    def wait(
        self,
        ref: Reference = ONE,
        after: int = 1,
        timeout_s: float = LONG_S,
        share: int | None = None,
        owner: str = "shop",
    ) -> "Future[News]":
        """Somebody waits, and has begun to."""
        begun = threading.Event()

        def run() -> News:
            begun.set()
            return self.watch.wait(ref, after, timeout_s, owner, share)

        future = self._pool.submit(run)
        assert begun.wait(LONG_S)
        return future

    def waiting(self, count: int) -> None:
        """So many wait now."""
        waiting = self.watch._waiting
        wait_until(lambda: sum(map(len, list(waiting.values()))) == count, LONG_S, f"{count} waits")

    def close(self) -> None:
        """Nobody sleeps on."""
        self.tick(ending=True)
        self.tick(ending=True)
        self._pool.shutdown()


@pytest.fixture
def make() -> Iterator[Callable[..., Scenario]]:
    """Makes scenarios that end with the test."""
    made: list[Scenario] = []

    def new(**options: Any) -> Scenario:
        made.append(Scenario(**options))
        return made[-1]

    yield new
    for scenario in made:
        scenario.close()


def test_a_newer_version_wakes_and_an_old_one_does_not(make: Callable[..., Scenario]) -> None:
    """Who has seen it already sleeps on, beside the one who has not."""
    scenario = make()
    one, later, other = scenario.wait(), scenario.wait(after=2), scenario.wait(OTHER)
    scenario.waiting(3)
    scenario.tick()
    wait_until(lambda: len(scenario.store.asked) == 1)
    assert not any(wait.done() for wait in (one, later, other))
    scenario.change(ONE, 2)
    scenario.tick()
    assert one.result(LONG_S) is News.CHANGED
    assert not any(wait.done() for wait in (later, other))
    scenario.change(ONE, 3)
    scenario.change(OTHER, 2)
    scenario.waiting(2)
    scenario.tick()
    assert (later.result(LONG_S), other.result(LONG_S)) == (News.CHANGED, News.CHANGED)


def test_a_change_before_the_wait_is_not_missed(make: Callable[..., Scenario]) -> None:
    """The version counts, not the moment."""
    scenario = make()
    scenario.change(ONE, 7)
    wait = scenario.wait(after=6)
    scenario.waiting(1)
    scenario.tick()
    assert wait.result(LONG_S) is News.CHANGED


def test_many_waits_for_one_verification_are_one_question(make: Callable[..., Scenario]) -> None:
    """What is asked of the store does not grow with the number of those who wait."""
    scenario = make()
    waits = [scenario.wait() for _ in range(6)] + [scenario.wait(OTHER)]
    scenario.waiting(7)
    scenario.change(ONE, 2)
    scenario.change(OTHER, 2)
    scenario.tick()
    assert {wait.result(LONG_S) for wait in waits} == {News.CHANGED}
    assert [sorted(asked, key=repr) for asked in scenario.store.asked] == [sorted([ONE, OTHER], key=repr)]


def test_nothing_is_read_while_nobody_waits(make: Callable[..., Scenario]) -> None:
    """The thread ends with the last wait, and the next wait has one again."""
    scenario = make()
    for turn in range(2):
        assert scenario.wait(timeout_s=0.01).result(LONG_S) is News.UNCHANGED
        scenario.tick()
        wait_until(lambda: not scenario.watch._looking)
        assert scenario.store.asked == [], turn
    wait = scenario.wait()
    scenario.waiting(1)
    scenario.change(ONE, 2)
    scenario.tick()
    assert wait.result(LONG_S) is News.CHANGED


def test_no_more_waits_than_slots(make: Callable[..., Scenario]) -> None:
    """Who finds none is answered at once; a place that becomes free is used again."""
    scenario = make(slots=3)
    waits = [scenario.wait(), scenario.wait(), scenario.wait(OTHER)]
    scenario.waiting(3)
    assert scenario.wait(OTHER).result(LONG_S) is News.FULL
    scenario.change(OTHER, 2)
    scenario.tick()
    assert waits[2].result(LONG_S) is News.CHANGED
    scenario.waiting(2)
    again = scenario.wait(OTHER, after=2)
    scenario.waiting(3)
    assert not again.done()


def test_without_slots_nobody_waits(make: Callable[..., Scenario]) -> None:
    """As under a server whose threads must not sleep."""
    assert make(slots=0).wait().result(LONG_S) is News.FULL


def test_who_has_most_slots_loses_the_oldest(make: Callable[..., Scenario]) -> None:
    """Only where all are taken: one app may have them all until another comes, which then gets its share."""
    scenario = make(slots=4)
    much = []
    for count in range(1, 5):
        much.append(scenario.wait(owner="much"))
        scenario.waiting(count)
    assert scenario.wait(owner="much").result(LONG_S) is News.FULL
    little = [scenario.wait(OTHER, owner="little")]
    assert much[0].result(LONG_S) is News.FULL
    scenario.waiting(4)
    little.append(scenario.wait(OTHER, owner="little"))
    assert much[1].result(LONG_S) is News.FULL
    scenario.waiting(4)
    assert scenario.wait(OTHER, owner="little").result(LONG_S) is News.FULL
    assert not any(wait.done() for wait in (*much[2:], *little))
    third = scenario.wait(owner="third")
    assert much[2].result(LONG_S) is News.FULL
    assert not third.done()


def test_one_verification_takes_no_more_than_its_share(make: Callable[..., Scenario]) -> None:
    """Where a share is asked for, it is of the waits for this one only; others find their slots."""
    scenario = make(slots=8)
    for _ in range(2):
        scenario.wait(share=2)
    scenario.waiting(2)
    assert scenario.wait(share=2).result(LONG_S) is News.FULL
    scenario.wait(OTHER, share=2)
    scenario.wait()
    scenario.waiting(4)


def test_a_share_is_a_quarter_of_few_slots(make: Callable[..., Scenario]) -> None:
    """Whatever is asked for: four watch tokens never take all."""
    scenario = make(slots=8)
    for _ in range(2):
        scenario.wait(share=16)
    scenario.waiting(2)
    assert scenario.wait(share=16).result(LONG_S) is News.FULL
    scenario.wait()
    scenario.waiting(3)


def test_a_store_that_does_not_answer_ends_all_waits(make: Callable[..., Scenario]) -> None:
    """Closed, not open: no caller is answered "no change" while the store is away."""
    scenario = make()
    waits = [scenario.wait(), scenario.wait(OTHER)]
    scenario.waiting(2)
    scenario.store.fault = StoreUnavailable("gone")
    scenario.tick()
    for wait in waits:
        with pytest.raises(StoreUnavailable):
            wait.result(LONG_S)
    scenario.store.fault = None
    scenario.waiting(0)
    again = scenario.wait()
    scenario.waiting(1)
    scenario.change(ONE, 2)
    scenario.tick()
    assert again.result(LONG_S) is News.CHANGED
    assert sorted(scenario.counted) == [News.CHANGED, News.UNAVAILABLE, News.UNAVAILABLE]


def test_a_fault_of_ours_ends_every_wait(make: Callable[..., Scenario]) -> None:
    """The waits end, and the next one is looked for again."""
    scenario = make()
    wait = scenario.wait()
    scenario.waiting(1)
    scenario.store.fault = ZeroDivisionError()
    scenario.tick()
    with pytest.raises(StoreUnavailable):
        wait.result(LONG_S)
    scenario.store.fault = None
    scenario.change(ONE, 2)
    again = scenario.wait()
    scenario.waiting(1)
    scenario.tick()
    assert again.result(LONG_S) is News.CHANGED


def test_one_that_is_gone_has_changed(make: Callable[..., Scenario]) -> None:
    """The store forgot it: whoever waits reads that it is not there."""
    scenario = make()
    wait = scenario.wait()
    scenario.waiting(1)
    del scenario.store.views[ONE]
    scenario.tick()
    assert wait.result(LONG_S) is News.CHANGED


def test_the_end_of_the_process_ends_all_waits(make: Callable[..., Scenario]) -> None:
    """Those that are under way and those that come yet."""
    scenario = make()
    waits = [scenario.wait(), scenario.wait(OTHER)]
    scenario.waiting(2)
    scenario.tick(ending=True)
    assert {wait.result(LONG_S) for wait in waits} == {News.ENDING}
    assert scenario.wait().result(LONG_S) is News.ENDING
    assert scenario.store.asked == []


def test_the_pause_grows_with_what_a_look_takes() -> None:
    """Watching never takes more than its share of the process, however many are watched."""
    scenario = Scenario()
    try:
        scenario.wait()
        scenario.waiting(1)
        scenario.tick()
        wait_until(lambda: len(scenario.pauses) == 2, LONG_S, "the second pause")
        assert scenario.pauses == [EVERY_S, pytest.approx(0.1 * PAUSES)]
    finally:
        scenario.close()
