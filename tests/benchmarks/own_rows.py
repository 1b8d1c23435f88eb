"""The rows that need more of otp-service than its HTTP endpoints: its worker and its store."""

import json
import time
from collections.abc import Iterator
from typing import Any

from . import accounting, cluster, figures, measure, open_loop, overlay, waiting
from .measure import Leg
from .ours import WORKER, OtpService, OurStack
from .post import post_all
from .programs import ProgramFailed, programs_in_a_folder, run
from .rows import Options, OwnRow
from .target import require

LEVEL_TIMEOUT_S = 120.0


def own_leg(row: str, target: OtpService, number: int, extra: dict[str, float]) -> Leg:
    return Leg(row, target.name, number, 0.0, 0.0, 0.0, {}, 0.0, 0, extra=extra)


# ---- the worker -----------------------------------------------------------------------------------------------------


def worker(target: OtpService, stack: OurStack, options: Options, number: int) -> Iterator[Leg]:
    """Sends a second and CPU of one, with a queue; then how long after an accepted start its request is sent."""
    extra = _throughput(stack, options.sends)
    yield own_leg("worker, 150 ms carrier", target, number, extra)
    per_s = min(extra["sends a second"] / 2, 1_000)
    yield own_leg(
        "accepted start to carrier request, half load", target, number, _latency(stack, per_s, options.seconds)
    )


def _throughput(stack: OurStack, sends: int) -> dict[str, float]:
    """From the tenth part of the queue to the ninth tenth: start and end of the worker do not count."""
    stack.make_pending(sends)
    stack.start_worker()
    low, high = _when_sent(stack, sends, 0.1), _when_sent(stack, sends, 0.9)
    _when_sent(stack, sends, 1.0)
    # A short queue may be sent between two looks, in less CPU than the kernel counts.
    count, seconds = max(1, high[0] - low[0]), max(0.001, high[1] - low[1])
    used = {name: max(1 / accounting.TICKS_PER_S, cpu_s) for name, cpu_s in high[2].since(low[2]).groups.items()}
    return {
        "sends a second": count / seconds,
        "sends a second and core": count / used["worker"],
        "worker CPU µs": used["worker"] * 1e6 / count,
        "store CPU µs": used["store"] * 1e6 / count,
    }


def _when_sent(stack: OurStack, sends: int, share: float) -> tuple[int, float, accounting.Usage]:
    """Wait until this share of the sends came to the carrier: how many, when, and the CPU used so far."""
    deadline = time.monotonic() + LEVEL_TIMEOUT_S
    while (sent := stack.sent) < sends * share:
        if time.monotonic() > deadline:
            raise ProgramFailed(f"only {sent} of {sends} messages came to the carrier")
        time.sleep(0.02)
        stack.read_carrier()
    return sent, time.monotonic(), measure.usage_now(stack)


def _latency(stack: OurStack, per_s: float, seconds: int) -> dict[str, float]:
    """Half of what the worker sends alone. Where all cores of the machine are busy, waits are the machine's too."""
    requests = stack.starts(max(10, round(per_s * seconds)))
    began, before = time.monotonic(), measure.usage_now(stack)
    waited_s = accounting.waited_s(stack.programs.sessions[WORKER])
    timed = open_loop.run(stack.url, requests, stack.headers, per_s)
    wall_s, used = time.monotonic() - began, measure.usage_now(stack).since(before)
    waited_s = accounting.waited_s(stack.programs.sessions[WORKER]) - waited_s
    require([one.answer[0] for one in timed], 201, "starts at half load")
    numbers = [json.loads(request.body)["to"] for request in requests]
    sent = stack.sent_to(numbers)
    waits = [max(0, at_ns - one.answered_ns) / 1e6 for (_, at_ns), one in zip(sent, timed, strict=True)]
    starts = [(one.answered_ns - one.due_ns) / 1e6 for one in timed]
    return {
        "starts a second": per_s,
        "p50 ms": figures.percentile(waits, 0.5),
        "p99 ms": figures.percentile(waits, 0.99),
        "start p50 ms": figures.percentile(starts, 0.5),
        "start p99 ms": figures.percentile(starts, 0.99),
        "worker's cores": used.groups["worker"] / wall_s,
        "worker's wait for a core": max(0.0, waited_s) / wall_s,
        "busy cores": used.machine / wall_s,
    }


# ---- the store ------------------------------------------------------------------------------------------------------


def memory(target: OtpService, stack: OurStack, options: Options, number: int) -> Iterator[Leg]:
    """Bytes and keys of a pending verification: the store before and after, whatever is in it. Then of logins."""
    with stack.store() as client:
        stack.make_pending(max(16, options.sends // 100))  # so that what all of them share is there
        before, count = _measure_store(client), max(20, options.sends // 3)
        stack.make_pending(count)
        after = _measure_store(client)
    names = ("bytes (MEMORY USAGE)", "keys", "bytes (used_memory)")
    extra = {name: (high - low) / count for name, low, high in zip(names, before, after, strict=True)}
    yield own_leg("a pending verification in the store", target, number, extra)

    stack.start_worker()
    stack.wait_until_sent()
    yield own_leg("what a login leaves in the store", target, number, _logins(stack, max(20, options.sends // 6)))


def _logins(stack: OurStack, count: int) -> dict[str, float]:
    """What a verified login leaves in the store: its keys for a day, its audit events as long as they are kept."""
    with stack.store() as client:
        _log_in(stack, max(16, count // 10))
        before, earlier = _measure_store(client), _measure_events(client)
        _log_in(stack, count)
        after, later = _measure_store(client), _measure_events(client)
    events, size = later[0] - earlier[0], later[1] - earlier[1]
    return {
        "bytes (MEMORY USAGE), no events": (after[0] - before[0] - size) / count,
        "keys": (after[1] - before[1]) / count,
        "audit events": events / count,
        "bytes of an audit event": size / events,
    }


def _log_in(stack: OurStack, count: int) -> None:
    checks = [stack.check(one, one.code) for one in stack.make_pending(count)]
    require([status for status, _ in post_all(stack.url, checks, stack.headers)], 200, "checks of right codes")


def _measure_events(client: Any) -> tuple[int, int]:
    """Entries and bytes of all streams. The queue is one as well, but empty when all is sent."""
    streams = list(client.scan_iter(count=1000, _type="stream"))
    return sum(map(client.xlen, streams)), sum(client.memory_usage(key, samples=0) or 0 for key in streams)


def _measure_store(client: Any) -> tuple[int, int, int]:
    usage = keys = 0
    for key in client.scan_iter(count=1000):
        usage += client.memory_usage(key, samples=0) or 0
        keys += 1
    return usage, keys, int(client.info("memory")["used_memory"])


def scripts(target: OtpService, _: None, options: Options, number: int) -> Iterator[Leg]:
    """The store's own time for one call of each script, at several numbers of live verifications."""
    live = ",".join(map(str, options.live))
    calls = min(2_000, options.live[0])
    options_of_it = ["--calls", str(calls), "--live", live]
    command = [target.python, "-m", "tests.benchmarks.script_time", *options_of_it]
    with programs_in_a_folder() as programs:
        environ = overlay.environment(target.checkout, programs.folder)
        output = run(command, environ, programs.folder, timeout_s=1_800)
    for line in output.splitlines():
        found = json.loads(line)
        yield own_leg(f"script µs at {found.pop('live'):,} live", target, number, found)


ONE = ("--workers", "1")
"""The goal for those who wait is one for a process."""

OWN = (
    OwnRow("worker", "sends a second, CPU of a send, time from accepted start to carrier request", worker),
    OwnRow("memory", "bytes and keys of a pending verification, and what a login leaves", memory, once=True),
    OwnRow(
        "scripts",
        "the store's time for one script, at several numbers of live verifications",
        scripts,
        once=True,
        stack=False,
    ),
    OwnRow(
        "cluster",
        "one, two and three primaries of a Cluster, beside the model of the sizing guide",
        cluster.row,
        once=True,
        stack=False,
    ),
    OwnRow(
        "waiting", "browsers that wait for news: memory, CPU, checks beside them", waiting.row, once=True, serve=ONE
    ),
)
