"""Where the CPU of an answer goes, ours beside the others': why a goal of speed is reached, or is not."""

from collections.abc import Iterator, Sequence

from . import goals, report
from .goals import BARE, CHECK, FASTAPI, GATEWAY, KNOWN, OURS, START
from .measure import Leg

TARGETS = (OURS, BARE, GATEWAY, FASTAPI)
ROWS = {"check": CHECK.format(16), "start": START.format(16), "start, known number": KNOWN.format(16)}
WAITS = {
    "starts a second": "starts a second",
    "p50 ms": "half of them wait at most, ms",
    "worker's cores": "cores that the worker uses",
    "worker's wait for a core": "threads of the worker that are ready and have no core",
    "busy cores": "cores that are busy",
}


def table(legs: Sequence[Leg]) -> list[str]:
    """The lines of the tables; none of what was not measured."""
    return [*_answers(legs), *_sends(legs)]


def _answers(legs: Sequence[Leg]) -> list[str]:
    lines = [line for what, row in ROWS.items() for line in _row(legs, what, row)]
    head = ["### CPU of an answer, 16 connections", "", "| | | API | store | both |", "|---|---|---|---|---|"]
    return [*head, *lines, ""] if lines else []


def _row(legs: Sequence[Leg], what: str, row: str) -> Iterator[str]:
    for target in TARGETS:
        found = report.of(legs, row, target)
        if found and all({"service", "store"} <= leg.cpu_us.keys() for leg in found):
            api, store = (report.cpu(found, group) for group in ("service", "store"))
            yield f"| {what} | {target} | {api:,.0f} µs | {store:,.0f} µs | {api + store:,.0f} µs |"


def _sends(legs: Sequence[Leg]) -> list[str]:
    found = {words: goals.extra(goals.LATENCY, name)(legs) for name, words in WAITS.items()}
    lines = [f"| {words} | {report.short(value)} |" for words, value in found.items() if value is not None]
    head = ["### From an accepted start to the carrier, at half load", "", "| | measured |", "|---|---|"]
    return [*head, *lines, ""] if lines else []
