"""Waiting for news: who is woken by what, what is asked of the store, and how waits end that bring none."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from queue import SimpleQueue
from typing import Any, cast

import pytest

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.verification import Reference
from otp_service.usecases.watch import News, Watch
from tests.conftest import wait_until

ONE, OTHER = Reference("a" * 32, "00" * 10), Reference("b" * 32, "11" * 10)
LONG_S = 30.0


class World:
    """A store with versions, and a clock that moves when the test says so."""

    def __init__(self, places: int = 8) -> None:
        self.known: dict[Reference, int | None] = {ONE: 1, OTHER: 1}
        self.asked: list[list[Reference]] = []
        self.fault: Exception | None = None
        self.counted: list[News] = []
        self._ticks: SimpleQueue[bool] = SimpleQueue()
        self.watch = Watch(
            store=cast("Any", self),
            places=places,
            pause=self._pause,
            aside=nullcontext(),
            count=self.counted.append,
        )
        self._pool = ThreadPoolExecutor(32)

    def _pause(self, _: float) -> bool:
        return self._ticks.get(timeout=LONG_S)

    def versions(self, refs: Sequence[Reference]) -> list[int | None]:
        """What the store says."""
        self.asked.append(list(refs))
        if self.fault is not None:
            raise self.fault
        return [self.known[ref] for ref in refs]

    def tick(self, *, ending: bool = False) -> None:
        """A pause is over."""
        self._ticks.put(ending)

    def wait(
        self, ref: Reference = ONE, after: int = 1, timeout_s: float = LONG_S, share: int | None = None
    ) -> "Future[News]":
        """Somebody waits, and has begun to."""
        begun = threading.Event()

        def run() -> News:
            begun.set()
            return self.watch.wait(ref, after, timeout_s, share)

        future = self._pool.submit(run)
        assert begun.wait(5)
        return future

    def waiting(self, count: int) -> None:
        """So many wait now."""
        waiting = self.watch._waiting
        wait_until(lambda: sum(map(len, list(waiting.values()))) == count, 5, f"{count} waits")

    def close(self) -> None:
        """Nobody sleeps on."""
        self.tick(ending=True)
        self.tick(ending=True)
        self._pool.shutdown()


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    """Makes worlds that end with the test."""
    made: list[World] = []

    def new(**options: Any) -> World:
        made.append(World(**options))
        return made[-1]

    yield new
    for world in made:
        world.close()


def test_a_newer_version_wakes_and_an_old_one_does_not(make: Callable[..., World]) -> None:
    """Who has seen it already sleeps on, beside the one who has not."""
    world = make()
    one, later, other = world.wait(), world.wait(after=2), world.wait(OTHER)
    world.waiting(3)
    world.tick()
    wait_until(lambda: len(world.asked) == 1)
    assert not any(wait.done() for wait in (one, later, other))
    world.known[ONE] = 2
    world.tick()
    assert one.result(5) is News.CHANGED
    assert not any(wait.done() for wait in (later, other))
    world.known |= {ONE: 3, OTHER: 2}
    world.waiting(2)
    world.tick()
    assert (later.result(5), other.result(5)) == (News.CHANGED, News.CHANGED)


def test_a_change_before_the_wait_is_not_missed(make: Callable[..., World]) -> None:
    """The version counts, not the moment."""
    world = make()
    world.known[ONE] = 7
    wait = world.wait(after=6)
    world.waiting(1)
    world.tick()
    assert wait.result(5) is News.CHANGED


def test_many_waits_for_one_verification_are_one_question(make: Callable[..., World]) -> None:
    """What is asked of the store does not grow with the number of those who wait."""
    world = make()
    waits = [world.wait() for _ in range(6)] + [world.wait(OTHER)]
    world.waiting(7)
    world.known |= {ONE: 2, OTHER: 2}
    world.tick()
    assert {wait.result(5) for wait in waits} == {News.CHANGED}
    assert [sorted(asked, key=repr) for asked in world.asked] == [sorted([ONE, OTHER], key=repr)]


def test_nobody_looks_where_nobody_waits(make: Callable[..., World]) -> None:
    """The thread ends with the last wait, and the next wait has one again."""
    world = make()
    for turn in range(2):
        assert world.wait(timeout_s=0.01).result(5) is News.UNCHANGED
        world.tick()
        wait_until(lambda: not world.watch._looking)
        assert world.asked == [], turn
    wait = world.wait()
    world.waiting(1)
    world.known[ONE] = 2
    world.tick()
    assert wait.result(5) is News.CHANGED


def test_no_more_waits_than_places(make: Callable[..., World]) -> None:
    """Who finds none is told at once; a place that becomes free is used again."""
    world = make(places=3)
    waits = [world.wait(), world.wait(), world.wait(OTHER)]
    world.waiting(3)
    assert world.wait(OTHER).result(5) is News.FULL
    world.known[OTHER] = 2
    world.tick()
    assert waits[2].result(5) is News.CHANGED
    world.waiting(2)
    again = world.wait(OTHER, after=2)
    world.waiting(3)
    assert not again.done()


def test_one_verification_takes_no_more_than_its_share(make: Callable[..., World]) -> None:
    """Where a share is asked for, it is of the waits for this one only; others find their places."""
    world = make(places=8)
    for _ in range(2):
        world.wait(share=2)
    world.waiting(2)
    assert world.wait(share=2).result(5) is News.FULL
    world.wait(OTHER, share=2)
    world.wait()
    world.waiting(4)


def test_a_store_that_does_not_answer_ends_all_waits(make: Callable[..., World]) -> None:
    """Closed, not open: nobody is told that nothing happened while nobody could know."""
    world = make()
    waits = [world.wait(), world.wait(OTHER)]
    world.waiting(2)
    world.fault = StoreUnavailable("gone")
    world.tick()
    for wait in waits:
        with pytest.raises(StoreUnavailable):
            wait.result(5)
    world.fault = None
    world.waiting(0)
    again = world.wait()
    world.waiting(1)
    world.known[ONE] = 2
    world.tick()
    assert again.result(5) is News.CHANGED
    assert sorted(world.counted) == [News.CHANGED, News.UNAVAILABLE, News.UNAVAILABLE]


def test_a_fault_of_ours_leaves_nobody_asleep(make: Callable[..., World]) -> None:
    """The waits end, and the next one is looked for again."""
    world = make()
    wait = world.wait()
    world.waiting(1)
    world.fault = ZeroDivisionError()
    world.tick()
    with pytest.raises(StoreUnavailable):
        wait.result(5)
    world.fault = None
    world.known[ONE] = 2
    again = world.wait()
    world.waiting(1)
    world.tick()
    assert again.result(5) is News.CHANGED


def test_one_that_is_gone_has_changed(make: Callable[..., World]) -> None:
    """The store forgot it: whoever waits reads that it is not there."""
    world = make()
    wait = world.wait()
    world.waiting(1)
    world.known[ONE] = None
    world.tick()
    assert wait.result(5) is News.CHANGED


def test_the_end_of_the_process_ends_all_waits(make: Callable[..., World]) -> None:
    """Those that are under way and those that come yet."""
    world = make()
    waits = [world.wait(), world.wait(OTHER)]
    world.waiting(2)
    world.tick(ending=True)
    assert {wait.result(5) for wait in waits} == {News.ENDING}
    assert world.wait().result(5) is News.ENDING
    assert world.asked == []
