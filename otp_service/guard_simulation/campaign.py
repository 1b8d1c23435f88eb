"""A whole simulation: every seed in one of two processes, and the rows of its table."""

import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

from .figures import Row, row
from .run import DEFENCES, Outcome, one_seed
from .shapes import KNOWING, USUAL, Shape

PROCESSES = 2
Done = Callable[[int, int], None]
Job = tuple[int, int, Sequence[Shape]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated: honest starts a day, how many seeds, which shapes."""

    per_day: Sequence[int]
    seeds: int
    shapes: Sequence[Shape]


SIZES = {"small": Size((1_000,), 5, USUAL), "large": Size((1_000, 10_000), 5, USUAL + KNOWING)}


def simulate(first_seed: int, size: Size, done: Done) -> dict[int, list[Row]]:
    """The rows for each volume of traffic. `done` hears how many seeds are finished, of how many."""
    jobs = [
        (seed, per_day, size.shapes) for per_day in size.per_day for seed in range(first_seed, first_seed + size.seeds)
    ]
    found: dict[tuple[int, str, str], list[Outcome]] = defaultdict(list)
    for (_, per_day, _), outcomes in zip(jobs, _run(jobs, done), strict=True):
        for shape, defence, outcome in outcomes:
            found[per_day, shape, defence].append(outcome)
    return {per_day: list(_rows(found, per_day, size.shapes)) for per_day in size.per_day}


def _run(jobs: Sequence[Job], done: Done) -> list[list[tuple[str, str, Outcome]]]:
    if len(jobs) == 1:
        return [_job(jobs[0])]
    found = []
    # Not forked: a thread of the progress bar may hold a lock. Ctrl-C ends the pool, and the pool its processes.
    with get_context("spawn").Pool(PROCESSES, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        done(0, len(jobs))
        for outcomes in pool.imap(_job, jobs):
            found.append(outcomes)
            done(len(found), len(jobs))
    return found


def _job(job: Job) -> list[tuple[str, str, Outcome]]:
    seed, per_day, shapes = job
    return list(one_seed(seed, per_day, shapes, DEFENCES))


def _rows(found: dict[tuple[int, str, str], list[Outcome]], per_day: int, shapes: Sequence[Shape]) -> Iterator[Row]:
    for shape in shapes:
        for defence in DEFENCES:
            yield row(shape, defence, found[per_day, shape.name, defence])
