"""The goals of the service's speed, each beside what a run has measured. A goal without its rows is left out."""

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import figures, report
from .measure import Leg

OURS, GATEWAY, BARE, FASTAPI = "otp-service", "otpgateway", "bare handler, our front", "naive FastAPI"
CHECK, START = "check, wrong code, {} connections", "start, {} connections"
KNOWN = "start, known number, {} connections"

Legs = Sequence[Leg]


class Goal(NamedTuple):
    """One goal: `measured` gives the figure, or None where a row for it is missing. `unit` stands behind figures."""

    what: str
    at_least: bool
    limit: float
    measured: Callable[[Legs], float | None]
    unit: str = ""
    by_cpu: Callable[[Legs], float | None] = lambda _: None
    """The same ratio by CPU of an answer, where the goal is one of speed: steadier where others use the machine."""
    bare: Callable[[Legs], float | None] = lambda _: None
    """What the bare handler reaches, with our front and our script and no work of its own: no code of ours between them
    can do better."""

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return f"{'≥' if self.at_least else '≤'} {report.short(self.limit)}{self.unit}"

    def is_reached(self, value: float) -> bool:
        """Whether the figure is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit


# ---- what is taken from the legs ------------------------------------------------------------------------------------


def rates(legs: Legs, row: str, target: str) -> dict[int, float]:
    """Answers a second, by round."""
    return {leg.round: leg.per_s for leg in report.of(legs, row, target)}


def costs(legs: Legs, row: str, target: str) -> dict[int, float]:
    """CPU of an answer, by round."""
    return {leg.round: report.cpu_of(leg) for leg in report.of(legs, row, target)}


def speed(row: str, other: str, of: str = OURS) -> Callable[[Legs], float | None]:
    """Our answers a second, or another target's, as a multiple of the other's."""
    return lambda legs: figures.ratio(rates(legs, row, of), rates(legs, row, other))


def cheapness(row: str, other: str) -> Callable[[Legs], float | None]:
    """The other's CPU of an answer as a multiple of ours."""
    return lambda legs: figures.ratio(costs(legs, row, other), costs(legs, row, OURS))


def median(values: Sequence[float]) -> float | None:
    """The median; None without values."""
    return statistics.median(values) if values else None


def extra(start: str, name: str) -> Callable[[Legs], float | None]:
    """The median of an own figure of the rows of otp-service whose name begins so."""
    return lambda legs: median(
        [leg.extra[name] for leg in legs if leg.target == OURS and leg.row.startswith(start) and name in leg.extra]
    )


def failed_at(connections: int) -> Callable[[Legs], float | None]:
    """How many answers of ours were wrong or did not come, in all rows with so many connections."""

    def count(legs: Legs) -> float | None:
        found = [leg.failed for leg in legs if leg.target == OURS and leg.row.endswith(f", {connections} connections")]
        return float(sum(found)) if found else None

    return count


def p99(row: str, target: str) -> Callable[[Legs], float | None]:
    """The median of the rounds' 99th percentiles."""
    return lambda legs: median([leg.p99_ms for leg in report.of(legs, row, target)])


def p50(row: str, target: str) -> Callable[[Legs], float | None]:
    """The median of the rounds' medians."""
    return lambda legs: median([leg.p50_ms for leg in report.of(legs, row, target)])


def quotient(
    over: Callable[[Legs], float | None], under: Callable[[Legs], float | None]
) -> Callable[[Legs], float | None]:
    """One figure divided by another."""

    def divide(legs: Legs) -> float | None:
        above, below = over(legs), under(legs)
        return None if above is None or not below else above / below

    return divide


def difference(
    over: Callable[[Legs], float | None], under: Callable[[Legs], float | None]
) -> Callable[[Legs], float | None]:
    """One figure less another."""

    def subtract(legs: Legs) -> float | None:
        above, below = over(legs), under(legs)
        return None if above is None or below is None else above - below

    return subtract


def worker_on_or_off(legs: Legs) -> float | None:
    """Starts a second while a worker sends, as a share of those without."""
    with_worker = START.replace("start,", "start, worker on,").format(16)
    return figures.ratio(rates(legs, with_worker, OURS), rates(legs, START.format(16), OURS))


# ---- the goals ------------------------------------------------------------------------------------------------------


def _beside(what: str, row: str, other: str, limit: float, connections: int) -> Goal:
    name = row.format(connections)
    words = f"{what}, {connections} connections, of {other}"
    bare = speed(name, other, BARE) if other != BARE else lambda _: None
    return Goal(words, True, limit, speed(name, other), " ×", cheapness(name, other), bare)


def _script(what: str) -> Goal:
    many, few = (extra(f"script µs at {live} live", f"{what}, CPU") for live in ("1,000,000", "10,000"))
    return Goal(f"script of {what}: cost at 10⁶ live, of that at 10⁴", False, 1.3, quotient(many, few), " ×")


def _tail(what: str, row: str) -> Goal:
    value = quotient(p99(row.format(1000), OURS), p99(row.format(1000), GATEWAY))
    return Goal(f"{what}, 1,000 connections: p99, of otpgateway's", False, 1.0, value, " ×")


LATENCY, _WAIT = "accepted start to carrier request", "10,000 browsers"
_STEADY = quotient(p99(CHECK.format(16), OURS), p50(CHECK.format(16), OURS))

GOALS = (
    _beside("check", CHECK, GATEWAY, 1.0, 16),
    _beside("start", START, GATEWAY, 1.2, 16),
    _beside("check", CHECK, GATEWAY, 1.2, 64),
    _beside("start", START, GATEWAY, 1.4, 64),
    _beside("check", CHECK, BARE, 0.8, 16),
    _beside("start", START, BARE, 0.8, 16),
    _beside("check", CHECK, FASTAPI, 2.0, 16),
    _beside("start", START, FASTAPI, 2.0, 16),
    Goal("1,000 connections: failed answers", False, 0.0, failed_at(1000)),
    _tail("check", CHECK),
    _tail("start", START),
    Goal(
        f"{_WAIT} wait in one process: memory",
        False,
        300.0,
        difference(extra(_WAIT, "memory MB with"), extra(_WAIT, "memory MB before")),
        " MB",
    ),
    Goal(
        f"{_WAIT} wait in one process: checks a second, of those without",
        True,
        0.95,
        quotient(extra(_WAIT, "checks a second with"), extra(_WAIT, "checks a second before")),
        " ×",
        quotient(extra(_WAIT, "check CPU µs before"), extra(_WAIT, "check CPU µs with")),
    ),
    Goal("check, 16 connections: p99, of p50", False, 3.0, _STEADY, " ×"),
    Goal("start with the worker on, of those with it off", True, 0.7, worker_on_or_off, " ×"),
    Goal("one worker process: sends a second", True, 500.0, extra("worker", "sends a second")),
    Goal("one worker process: sends a second and core", True, 500.0, extra("worker", "sends a second and core")),
    Goal("accepted start to carrier request at half load: p99", False, 15.0, extra(LATENCY, "p99 ms"), " ms"),
    _script("start"),
    _script("check, wrong"),
    Goal("a pending verification: bytes", False, 1500.0, extra("a pending", "bytes (MEMORY USAGE)")),
    Goal("a pending verification: keys", False, 4.0, extra("a pending", "keys")),
)
"""Of issue 9. Ratios compare round by round, so what slows the machine for a while slows both."""


BARE_HANDLER = (
    "`bare handler`: the same ratio for a handler on our front that runs our script and does nothing else. No code "
    "between front and script can do better."
)


def table(legs: Legs) -> list[str]:
    """The lines of the table; none if there is nothing to judge."""
    judged = [(goal, value) for goal in GOALS if (value := goal.measured(legs)) is not None]
    if not judged:
        return []
    head = [
        "### Goals",
        "",
        "| goal | wanted | measured | by CPU | bare handler | reached |",
        "|---|---|---|---|---|---|",
    ]
    return [*head, *(_line(goal, value, legs) for goal, value in judged), "", BARE_HANDLER, ""]


def _line(goal: Goal, value: float, legs: Legs) -> str:
    by_cpu, bare = (_figure(goal, found(legs)) for found in (goal.by_cpu, goal.bare))
    reached = "yes" if goal.is_reached(value) else "**no**"
    return f"| {goal.what} | {goal.wanted} | {_figure(goal, value)} | {by_cpu} | {bare} | {reached} |"


def _figure(goal: Goal, value: float | None) -> str:
    return "" if value is None else f"{report.short(value)}{goal.unit}"
