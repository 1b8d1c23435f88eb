"""A Cluster of one, two and three primaries: throughput beside what the model says, and that a request stays one call.

On one machine all processes share the cores, so the service cannot become faster with more primaries; its CPU of a
request shows whether it would. The scripts alone, called without an API, are bound by the store: they become faster
until the cores are all used.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import redis

from . import measure, store
from .accounting import Usage, read_usage
from .measure import Leg, Shape
from .model import Cost, requests_per_s
from .ours import HERE, OtpService, OurStack, cluster_url
from .programs import HOST, Programs, programs_in_a_folder, run
from .rows import Options
from .target import Kind

CONNECTIONS = 16
ROW = "Cluster: {}"
SHARE = "busiest primary's share"
ALONE = "start and check without an API"
CORES = len(os.sched_getaffinity(0))


def row(target: OtpService, _: None, options: Options, number: int) -> Iterator[Leg]:
    """Checks and starts through the service, and the scripts alone, on each number of primaries."""
    with ExitStack() as opened:
        stacks = {
            count: target.open(opened.enter_context(programs_in_a_folder()), worker=False, primaries=count)
            for count in options.primaries
        }
        for kind in (Kind.WRONG, Kind.START):
            yield from _service(target, stacks, kind, options, number)
    yield from _scripts(target, options, number)


# ---- through the service --------------------------------------------------------------------------------------------


def _service(
    target: OtpService, stacks: dict[int, OurStack], kind: Kind, options: Options, number: int
) -> Iterator[Leg]:
    first: Cost | None = None
    for count, stack in stacks.items():
        name = (ROW.format(kind), f"{target.name}, {primaries(count)}", number)
        before = Calls.of(stack.store_url)
        shape = Shape(CONNECTIONS, options.seconds, options.warm_up_s, options.expected)
        leg = measure.run(stack, kind, shape, name, options.generator)
        calls = Calls.of(stack.store_url).since(before)
        cost = Cost(leg.cpu_us["service"], leg.cpu_us["store"], leg.cpu_us["load"])
        first = first or cost
        free = max(0.1, CORES - leg.other_cores)
        expected = requests_per_s(first, api_processes=CORES, shares=calls.shares, shared_cores=free)
        extra = {**_figures(cost, calls), **_beside_model(leg.per_s, expected)}
        yield Leg(*name, 0.0, 0.0, 0.0, {}, leg.other_cores, 0, failed=leg.failed, statuses=leg.statuses, extra=extra)


def primaries(count: int) -> str:
    """In words."""
    return f"{count} primar{'y' if count == 1 else 'ies'}"


class Calls:
    """What the nodes were asked: calls of scripts of each, and all commands, those inside of scripts as well."""

    def __init__(self, scripts: Sequence[int], commands: int) -> None:
        self.scripts = scripts
        self.commands = commands

    @classmethod
    def of(cls, url: str) -> "Calls":
        """Those until now."""
        found = [_statistics(int(node.rpartition(":")[2])) for node in url.split(",")]
        return cls([one.get("cmdstat_evalsha", 0) for one in found], sum(sum(one.values()) for one in found))

    def since(self, before: "Calls") -> "Calls":
        """Those between two readings."""
        scripts = [now - then for now, then in zip(self.scripts, before.scripts, strict=True)]
        return Calls(scripts, self.commands - before.commands)

    @property
    def shares(self) -> list[float]:
        """The part of each node in all calls."""
        return [one / sum(self.scripts) for one in self.scripts]


def _statistics(port: int) -> dict[str, int]:
    with redis.Redis(host=HOST, port=port) as client:
        stats: Any = client.info("commandstats")
    return {name: int(one["calls"]) for name, one in stats.items() if not name.startswith("cmdstat_cluster")}


def _figures(cost: Cost, calls: Calls) -> dict[str, float]:
    return {
        "API CPU µs": cost.api,
        "store CPU µs": cost.store,
        "load CPU µs": cost.load,
        SHARE: max(calls.shares),
        "commands of a call": calls.commands / sum(calls.scripts),
    }


def _beside_model(per_s: float, expected: float) -> dict[str, float]:
    return {"a second": per_s, "by the model": expected, "measured ÷ model": per_s / expected}


# ---- the scripts alone ----------------------------------------------------------------------------------------------


def _scripts(target: OtpService, options: Options, number: int) -> Iterator[Leg]:
    first: Cost | None = None
    for count in options.primaries:
        with programs_in_a_folder() as programs:
            url = cluster_url(store.start_cluster(programs, count))
            began, before, calls = time.monotonic(), usage(programs), Calls.of(url)
            command = [sys.executable, "-m", "tests.benchmarks.script_load", url, str(options.seconds)]
            told = json.loads(run(command, HERE, programs.folder, options.seconds + 120))
            used, calls = usage(programs).since(before), Calls.of(url).since(calls)
            took = time.monotonic() - began
        cost = Cost(0.0, used.groups["store"] * 1e6 / told["calls"], told["cpu_s"] * 1e6 / told["calls"])
        first = first or cost
        others = max(0.0, (used.machine - sum(used.groups.values())) / took)
        expected = requests_per_s(first, api_processes=0, shares=calls.shares, shared_cores=max(0.1, CORES - others))
        extra = {**_figures(cost, calls), **_beside_model(told["calls"] / told["seconds"], expected)}
        yield Leg(
            ROW.format(ALONE), f"{target.name}, {primaries(count)}", number, 0.0, 0.0, 0.0, {}, others, 0, extra=extra
        )


def usage(programs: Programs) -> Usage:
    """The CPU seconds of the programs, of the load generators that have ended, and of the machine."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    read = read_usage(programs.sessions)
    return read._replace(groups={**read.groups, "load": ended.ru_utime + ended.ru_stime})
