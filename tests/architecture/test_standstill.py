"""A test may fail for a standstill of the machine once, and for nothing else."""

from tests.standstill import STANDSTILL_S, Standstill


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_machine_that_runs_is_no_excuse() -> None:
    """Ticks that come late by less than a deadline are load, not a standstill."""
    clock = Clock()
    watch = Standstill(clock)
    for _ in range(20):
        clock.now += STANDSTILL_S * 0.9
        watch.tick()
    assert not watch.seen()


def test_a_standstill_is_seen_until_the_next_test() -> None:
    """Whether the watching thread has run since or not."""
    clock = Clock()
    watch = Standstill(clock)
    clock.now += STANDSTILL_S
    assert watch.seen()
    watch.tick()
    assert watch.seen()
    watch.forget()
    assert not watch.seen()
