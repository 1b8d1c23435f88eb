"""One leg: a load on a running stack, with the CPU of every group of processes beside it."""

import resource
import time
from typing import NamedTuple

import msgspec

from . import accounting, load
from .target import Kind, Stack

WARM_UP_S = 2
GUESS_PER_S = 1_500
"""How many answers a second a warm-up prepares for; the leg itself goes by what the warm-up gave."""


class Leg(msgspec.Struct, frozen=True):
    """What one leg gave. CPU in microseconds per answer, `other_cores` used by what is not ours, memory in kB.

    Only answers with a wanted status count. `failed` are the others, and with them the `errors`: requests without any
    answer.
    """

    row: str
    target: str
    round: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    other_cores: float
    memory_kb: int
    errors: int = 0
    failed: int = 0
    statuses: dict[str, int] = {}
    extra: dict[str, float] = {}


class Shape(NamedTuple):
    """How long a leg is and over how many connections, and how many answers a second are expected at most."""

    connections: int
    seconds: int
    warm_up_s: int = WARM_UP_S
    expected_per_s: float = GUESS_PER_S
    most: int = 200_000


class Wrong(Exception):
    """A load got answers that it must not get."""


def run(stack: Stack, kind: Kind, shape: Shape, name: tuple[str, str, int], generator: str | None = None) -> Leg:
    """Prepare, warm up, measure. `name` is row, target and round. Raises Wrong if there is no wanted answer."""
    return execute(stack, kind, prepare(stack, kind, shape, generator), name, generator)


def wanted(stack: Stack, kind: Kind) -> set[str]:
    """The statuses that answers of this kind must have."""
    return {str(status) for status in stack.statuses(kind)}


def prepare(stack: Stack, kind: Kind, shape: Shape, generator: str | None = None) -> load.Job:
    """Warm up, and make a plan that is long enough for the speed that the warm-up showed."""
    job = load.Job(stack.url, [], stack.headers, shape.connections, shape.warm_up_s)
    per_s = shape.expected_per_s
    if shape.warm_up_s:
        job = job._replace(plan=stack.plan(kind, requests_for(shape, per_s, shape.warm_up_s)))
        per_s = load.run(job, stack.programs.folder, generator).per_second
    return job._replace(plan=stack.plan(kind, requests_for(shape, per_s, shape.seconds)), seconds=shape.seconds)


def execute(stack: Stack, kind: Kind, job: load.Job, name: tuple[str, str, int], generator: str | None = None) -> Leg:
    """Put the load on. Raises Wrong if there is no answer with a wanted status."""
    before, began = usage_now(stack), time.monotonic()
    result = load.run(job, stack.programs.folder, generator)
    usage, took = usage_now(stack).since(before), time.monotonic() - began
    good = sum(count for status, count in result.statuses.items() if status in wanted(stack, kind))
    if not good:
        raise Wrong(f"{name[0]}, {name[1]}: {result.statuses}, {result.errors} without an answer")
    memory_kb = accounting.memory_kb(stack.programs.sessions["service"])
    return leg(name, msgspec.structs.replace(result, requests=good), usage, took, memory_kb)


def requests_for(shape: Shape, per_s: float, seconds: int) -> int:
    """How long a plan must be; a load ends with it, so what prepares a request at length may have a lower limit."""
    return min(shape.most, round(per_s * seconds * 1.5) + 4 * shape.connections)


def usage_now(stack: Stack) -> accounting.Usage:
    """The CPU seconds of the stack's programs, and as `load` those of the load generators that have ended."""
    usage = accounting.read_usage(stack.programs.sessions)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage._replace(groups={**usage.groups, "load": ended.ru_utime + ended.ru_stime})


def leg(name: tuple[str, str, int], result: load.Result, usage: accounting.Usage, took: float, memory_kb: int) -> Leg:
    """The figures of a load. What the machine did beyond the groups is the work of others."""
    return Leg(
        *name,
        per_s=result.per_second,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        cpu_us={group: seconds * 1e6 / result.requests for group, seconds in usage.groups.items()},
        other_cores=(usage.machine - sum(usage.groups.values())) / took,
        memory_kb=memory_kb,
        errors=result.errors,
        failed=sum(result.statuses.values()) - result.requests + result.errors,
        statuses=result.statuses,
    )
