"""`python -m tests.campaign --minutes N --seed S`: see `--help`.

Exit status: 0 if every promise held, 1 if one was broken, 2 if nothing was judged (wrong arguments, or each attempt
failed before its end), 130 on Ctrl-C. No process of the run is left behind in any case.
"""

import argparse
import asyncio
import json
import math
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from . import report
from .breaches import BY_SLOWNESS
from .client import ApiClient
from .cluster import CODE_TTL_S, Cluster
from .collect import Collector
from .evidence import Evidence
from .faults import FaultInjector, plan
from .gather import gather
from .judge import judge
from .load import Load
from .observers import Observers
from .sending_rules import SETTLED_WITHIN_S
from .stores import KINDS

DRAIN_S = 50.0
"""The part of the run after the load, in which codes expire and deliveries end."""

SHORTEST_LOAD_S = 15.0
QUIET_S = 3.0
CALLBACKS_WITHIN_S = 90.0
"""How long callbacks are awaited at the end, if some are missing. The lease of one whose sender was killed is half a
minute, and one that failed twice comes again after as long, and a fifth of it."""

NOT_JUDGED = 2
ATTEMPTS = 2
"""A run that fails before its end is repeated once."""

MOST_TROUBLES = 0.05
"""If more callers than this share were let down by the campaign itself, too little was tried."""

MOST_PAUSED = 0.15
"""If the campaign itself was kept from running for more than this share of its time, slowness proves nothing."""

MAX_PATH_CHARS = 60
"""A unix socket's path has at most about a hundred characters."""

_EXAMPLE = "example: python -m tests.campaign --minutes 2 --seed 7 --json report.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one campaign and return the exit status."""
    args = build_parser().parse_args(arguments)
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(10**6)
    load_s = max(SHORTEST_LOAD_S, args.minutes * 60 - DRAIN_S)
    screen = report.Screen(report.progress_stream(), load_s + CODE_TTL_S + 40)
    about = {
        "store": args.store,
        "seed": args.seed,
        "minutes": args.minutes,
        "rate_per_s": args.rate,
        "versions": report.versions(),
    }
    words = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    screen.write_line(
        f"campaign: {args.store}, seed {args.seed}, {args.minutes:g} min, {args.rate:g} starts/s ({words})"
    )
    for _ in range(ATTEMPTS):
        try:
            evidence = _attempt(args, load_s, screen)
        except (KeyboardInterrupt, asyncio.CancelledError):
            screen.write_line("interrupted; all processes are being ended")
            return 130
        status = NOT_JUDGED if evidence is None else conclude(evidence, about, args)
        if status != NOT_JUDGED:
            return status
    screen.write_line("nothing was judged")
    return NOT_JUDGED


def _attempt(args: argparse.Namespace, load_s: float, screen: report.Screen) -> Evidence | None:
    """One run; None if it failed before its end, which says nothing about the service."""
    directory = _work_directory()
    cluster = Cluster(directory, args.store)
    try:
        return asyncio.run(_interruptible(_run(cluster, args.seed, args.rate, load_s, screen)))
    except Exception as error:  # noqa: BLE001 - whatever went wrong here, no promise was judged
        screen.write_line(f"the run failed, nothing is judged: {type(error).__name__}: {error}")
        return None
    finally:
        cluster.close()
        if args.dir is not None:
            _copy_logs(directory, args.dir)
        shutil.rmtree(directory, ignore_errors=True)


def conclude(evidence: Evidence, about: dict[str, Any], args: argparse.Namespace) -> int:
    """Print the report, and return the exit status."""
    found = report.document(judge(evidence), about, evidence)
    as_json = json.dumps(found, indent=2)
    if args.dir is not None:
        (args.dir / "evidence.json").write_text(json.dumps(asdict(evidence)), encoding="utf-8")
        (args.dir / "report.json").write_text(as_json + "\n", encoding="utf-8")
    if args.json not in (None, "-"):
        Path(args.json).write_text(as_json + "\n", encoding="utf-8")
    sys.stdout.write((as_json if args.json == "-" else report.text(found)) + "\n")
    if not found["held"]:
        return NOT_JUDGED if _may_be_slowness(evidence, found) else 1
    return NOT_JUDGED if len(evidence.troubles) > MOST_TROUBLES * found["figures"]["accepted"] else 0


def _may_be_slowness(evidence: Evidence, found: Mapping[str, Any]) -> bool:
    """Whether the machine ran nothing for much of the run, and could cause all that was found."""
    took = max(call.ended for call in evidence.calls) - min(call.began for call in evidence.calls)
    kinds = {kind for kind, count in found["breaches"].items() if count}
    return found["paused_s"] > MOST_PAUSED * took and kinds <= BY_SLOWNESS


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign",
        description="Test the service under faults. The command starts the service as real processes on loopback and "
        "sends login requests to it. At the same time it kills and stops processes, and makes the sandbox carrier "
        "fail. At the end it compares the responses, the messages on the phones, the carrier's requests, the audit "
        "log and the store, and lists every broken promise. A start is 'accepted' if its response was 2xx.",
        epilog=_EXAMPLE,
    )
    parser.add_argument(
        "--minutes",
        type=_minutes,
        default=2.0,
        help="length of the run with its last 50 s without load (1 to 60, default 2)",
    )
    parser.add_argument(
        "--store",
        choices=list(KINDS),
        default="server",
        help="one server, a primary with two replicas and three sentinels, or a Cluster of three shards",
    )
    parser.add_argument("--seed", type=_seed, default=None, help="repeats callers and faults (default: a new one)")
    parser.add_argument("--rate", type=_rate, default=10.0, help="starts a second, at most 20 (default 10)")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the report as JSON, here or to FILE"
    )
    parser.add_argument("--dir", type=_directory, help="keep logs, evidence and report in this directory")
    return parser


def _minutes(text: str) -> float:
    return _within(text, 1, 60)


def _rate(text: str) -> float:
    return _within(text, 0.5, 20)


def _within(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
    return value


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at most 18 digits")
    return int(text)


def _directory(text: str) -> Path:
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot make {text!r}: {error.strerror}") from error
    return path


def _work_directory() -> Path:
    """A private directory with a path that is short enough for the store's socket; --dir may be longer."""
    default = Path(tempfile.gettempdir())
    short = default if len(str(default)) <= MAX_PATH_CHARS else Path("/tmp")
    return Path(tempfile.mkdtemp(prefix="otp-campaign-", dir=short))


def _copy_logs(directory: Path, to: Path) -> None:
    for path in directory.glob("*.log"):
        shutil.copy(path, to / path.name)


# ---- the run ---------------------------------------------------------------------------------------------------------


async def _interruptible(run: Any) -> Evidence:
    """Cancel the run on SIGTERM and SIGINT, so that every `finally` block runs."""
    task: asyncio.Task[Evidence] = asyncio.ensure_future(run)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await task


async def _run(cluster: Cluster, seed: int, rate: float, load_s: float, screen: report.Screen) -> Evidence:
    screen.bar("starting", "")
    endpoints = await cluster.open()
    api, collector = ApiClient(endpoints), Collector(endpoints, cluster.carrier_key)
    load = Load(api, seed, rate)
    injector = FaultInjector(cluster, seed, screen.fault)
    phase = ["load"]

    def counts() -> str:
        accepted = sum(call.kind == "start" and call.status == 201 and not call.replayed for call in api.calls)
        return f"accepted {accepted}  calls {len(api.calls)}  faults {len(injector.faults)}"

    observers = Observers(api)
    background = [
        asyncio.create_task(work)
        for work in (cluster.watch(), _tick(screen, phase, counts), observers.find_pauses(), observers.probe_health())
    ]
    try:
        await asyncio.gather(load.run(load_s), injector.run(plan(seed, load_s, cluster.store.kind)))
        ended = max(call.ended for call in api.calls)
        phase[0] = "draining"
        await cluster.ready()
        await collector.settled(api.calls, ended, CODE_TTL_S, SETTLED_WITHIN_S)
        phase[0] = "collecting"
        return await _evidence(cluster, api, collector, load, injector, observers)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await api.close()
        await collector.close()
        screen.clear()


async def _tick(screen: report.Screen, phase: Sequence[str], counts: Callable[[], str]) -> None:
    while True:
        screen.bar(phase[0], counts())
        await asyncio.sleep(0.5)


async def _evidence(
    cluster: Cluster,
    api: ApiClient,
    collector: Collector,
    load: Load,
    injector: FaultInjector,
    observers: Observers,
) -> Evidence:
    found = await gather(
        cluster,
        api,
        collector,
        numbers=load.numbers,
        faults=injector.faults,
        callbacks_s=(QUIET_S, CALLBACKS_WITHIN_S),
    )
    return replace(
        found,
        accidents=[*load.failures, *found.accidents],
        troubles=tuple(load.troubles),
        pauses=tuple(observers.pauses),
        probes=tuple(observers.probes),
    )


if __name__ == "__main__":
    sys.exit(main())
