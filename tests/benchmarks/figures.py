"""Medians, spread, ratios and percentiles: the arithmetic of the report."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Summary(NamedTuple):
    """The median of some rounds, with the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """The distance of lowest and highest as a share of the median; 0 if the median is 0."""
        return (self.high - self.low) / self.median if self.median else 0.0


def summarize(values: Sequence[float]) -> Summary:
    """The median and the ends of at least one value. Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    return Summary(statistics.median(values), min(values), max(values))


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """The median of the ratios round by round; None where no round has a partner that did something.

    The two of one round were measured one after the other, so what slows the machine for a while slows both.
    """
    pairs = [one / theirs[number] for number, one in ours.items() if theirs.get(number)]
    return statistics.median(pairs) if pairs else None


def rounds_made(numbers: Sequence[int], wanted: int) -> str:
    """How many rounds there were, by the numbers of their legs, and how many were asked for if there was no time."""
    made = max(numbers, default=0)
    return str(made) if made == wanted else f"{made} of {wanted}"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share (0 to 1) of the values does not exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def fill_pauses(latencies: Sequence[float], expected: float) -> list[float]:
    """Add what a pause has hidden: each latency beyond twice the expected also gives those minus 1, 2 … intervals.

    A closed loop asks nothing while it waits, so one long wait stands for all requests that would have come meanwhile
    (coordinated omission). wrk corrects its own figures in the same way.
    """
    filled = list(latencies)
    if expected <= 0:
        return filled
    for latency in latencies:
        if latency > expected * 2:
            steps = int((latency - expected) / expected)
            filled.extend(latency - expected * step for step in range(1, steps + 1))
    return filled
