"""What the goals are judged by."""

import pytest

from . import goals
from .measure import Leg


def leg(target: str, per_s: float, row: str = "check, wrong code, 16 connections", **more: object) -> Leg:
    """A leg with a speed."""
    found = {"round": 1, "p50_ms": 2.0, "p99_ms": 5.0, "cpu_us": {"service": 100.0}, "failed": 0, **more}
    return Leg(row, target, per_s=per_s, other_cores=0.0, memory_kb=0, **found)  # type: ignore[arg-type]


def lines(*legs: Leg) -> dict[str, list[str]]:
    """Of each goal that is judged: what is wanted, measured, the same by CPU, and whether it is reached."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in goals.table(legs)[4:-3]]
    return {what: rest for what, *rest in cells}


def test_a_ratio_is_that_of_the_rounds_and_of_the_cpu() -> None:
    """Faster by 1.5 than the other in the same round; its CPU says how much of that is the machine's."""
    found = lines(
        leg("otp-service", 150, cpu_us={"service": 40.0, "store": 10.0, "load": 99.0}),
        leg("otpgateway", 100, cpu_us={"service": 50.0, "store": 10.0, "sink": 99.0}),
        leg("otpgateway", 400, round=2),
    )
    assert found["check, 16 connections, of otpgateway"] == ["≥ 1 ×", "1.50 ×", "1.20 ×", "", "yes"]
    assert found["check, 16 connections: p99, of p50"] == ["≤ 3 ×", "2.50 ×", "", "", "yes"]
    assert len(found) == 2


def test_what_the_bare_handler_reaches_stands_beside_it() -> None:
    """Against the same other one: the goal of a ratio to the bare handler itself has no such figure."""
    targets = {"otp-service": 40, "bare handler, our front": 80, "otpgateway": 100}
    found = lines(*(leg(target, per_s) for target, per_s in targets.items()))
    assert found["check, 16 connections, of otpgateway"][-2:] == ["0.80 ×", "**no**"]
    assert found["check, 16 connections, of bare handler, our front"][-2:] == ["", "**no**"]


def test_a_goal_that_is_missed_is_told() -> None:
    """Failed answers, a long tail, too much memory, a slow script."""
    row = "check, wrong code, 1000 connections"
    waits = {"memory MB before": 100.0, "memory MB with": 450.0}
    found = lines(
        leg("otp-service", 10, row, failed=3, p99_ms=90.0),
        leg("otpgateway", 10, row, p99_ms=60.0),
        leg("otp-service", 0, "10,000 browsers wait for news", extra=waits),
        leg("otp-service", 0, "script µs at 10,000 live", extra={"start, CPU": 100.0, "check, wrong, CPU": 50.0}),
        leg("otp-service", 0, "script µs at 1,000,000 live", extra={"start, CPU": 120.0, "check, wrong, CPU": 100.0}),
    )
    assert found["1,000 connections: failed answers"][-2:] == ["", "**no**"]
    assert found["check, 1,000 connections: p99, of otpgateway's"][-4:] == ["1.50 ×", "", "", "**no**"]
    assert found["10,000 browsers wait in one process: memory"] == ["≤ 300 MB", "350 MB", "", "", "**no**"]
    assert found["script of start: cost at 10⁶ live, of that at 10⁴"][-4:] == ["1.20 ×", "", "", "yes"]
    assert found["script of check, wrong: cost at 10⁶ live, of that at 10⁴"][-4:] == ["2 ×", "", "", "**no**"]


@pytest.mark.parametrize("legs", [(), (leg("against", 10), leg("otpgateway", 10))])
def test_what_was_not_measured_is_not_judged(legs: tuple[Leg, ...]) -> None:
    """No table at all where nothing of otp-service was measured."""
    assert goals.table(legs) == []
