"""`python -m tests.campaign --minutes N --seed S`: see `--help`.

Exit status: 0 if every promise held, 1 if one was broken, 2 if the command was not understood, 3 if the run itself
came to nothing, 130 on Ctrl-C. Whatever happens, no process of the run is left behind.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otp_service.domain.errors import ServiceError

from . import report
from .callers import Crowd, Face
from .cluster import CODE_TTL_S, MAX_CHECKS, Cluster
from .collect import Collector, Silent, names_of, store_facts
from .evidence import Evidence
from .faults import FaultInjector, plan
from .judge import SETTLED_WITHIN_S, judge

DRAIN_S = 50.0
"""What is kept of the minutes for codes to run out and deliveries to end."""

SHORTEST_LOAD_S = 15.0
LONGEST_PLACE = 60
"""Characters: a unix socket's path has room for about a hundred."""

_EXAMPLE = "example: python -m tests.campaign --minutes 2 --seed 7 --json report.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one campaign and return the exit status."""
    args = build_parser().parse_args(arguments)
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(10**6)
    load_s = max(SHORTEST_LOAD_S, args.minutes * 60 - DRAIN_S)
    screen = report.Screen(report.progress_stream(), load_s + CODE_TTL_S + 40)
    about = {"seed": args.seed, "minutes": args.minutes, "rate_per_s": args.rate, "versions": report.versions()}
    words = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    screen.say(f"campaign: seed {args.seed}, {args.minutes:g} min, {args.rate:g} starts/s ({words})")
    directory = _work_directory()
    cluster = Cluster(directory)
    try:
        evidence = asyncio.run(_interruptible(_run(cluster, args.seed, args.rate, load_s, screen)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.say("interrupted; everything is being ended")
        return 130
    except (ServiceError, TimeoutError, Silent) as error:
        screen.say(f"the run came to nothing: {error}")
        return 3
    finally:
        cluster.close()
        if args.dir is not None:
            _keep(directory, args.dir)
        shutil.rmtree(directory, ignore_errors=True)
    return _conclude(evidence, about, args)


def _conclude(evidence: Evidence, about: dict[str, Any], args: argparse.Namespace) -> int:
    found = report.document(judge(evidence), about, evidence.faults)
    as_json = json.dumps(found, indent=2)
    if args.dir is not None:
        (args.dir / "evidence.json").write_text(json.dumps(asdict(evidence)), encoding="utf-8")
        (args.dir / "report.json").write_text(as_json + "\n", encoding="utf-8")
    if args.json not in (None, "-"):
        Path(args.json).write_text(as_json + "\n", encoding="utf-8")
    sys.stdout.write((as_json if args.json == "-" else report.text(found)) + "\n")
    return 0 if found["held"] else 1


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign",
        description="Run the service as real processes on loopback, let callers use it, kill and stop what it "
        "consists of, have the carrier misbehave, and compare at the end what everybody saw. "
        "A start is 'accepted' if it was answered 2xx.",
        epilog=_EXAMPLE,
    )
    parser.add_argument("--minutes", type=_minutes, default=2.0, help="how long, with draining (1 to 60, default 2)")
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
    """A private directory whose path leaves room for the name of the store's socket, whatever --dir is called."""
    place = Path(tempfile.gettempdir())
    short = place if len(str(place)) <= LONGEST_PLACE else Path("/tmp")
    return Path(tempfile.mkdtemp(prefix="otp-campaign-", dir=short))


def _keep(directory: Path, to: Path) -> None:
    for path in directory.glob("*.log"):
        shutil.copy(path, to / path.name)


# ---- the run ---------------------------------------------------------------------------------------------------------


async def _interruptible(run: Any) -> Evidence:
    """SIGTERM and SIGINT cancel the run, so that every `finally` on the way is passed."""
    task: asyncio.Task[Evidence] = asyncio.ensure_future(run)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await task


async def _run(cluster: Cluster, seed: int, rate: float, load_s: float, screen: report.Screen) -> Evidence:
    screen.bar("starting", "")
    place = await cluster.open()
    face, gatherer = Face(place), Collector(place, cluster.carrier_key)
    crowd = Crowd(face, seed, rate)
    saboteur = FaultInjector(cluster, seed, screen.fault)
    phase = ["load"]

    def counts() -> str:
        accepted = sum(call.kind == "start" and call.status == 201 and not call.replayed for call in face.calls)
        return f"accepted {accepted}  calls {len(face.calls)}  faults {len(saboteur.faults)}"

    sides = [asyncio.create_task(cluster.watch()), asyncio.create_task(_tick(screen, phase, counts))]
    try:
        await asyncio.gather(crowd.come(load_s), saboteur.work(plan(seed, load_s)))
        ended = max(call.ended for call in face.calls)
        phase[0] = "draining"
        await cluster.ready()
        await gatherer.settled(face.calls, ended, CODE_TTL_S, SETTLED_WITHIN_S)
        phase[0] = "gathering"
        return await _evidence(cluster, face, gatherer, crowd, saboteur)
    finally:
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
        await face.close()
        await gatherer.close()
        screen.clear()


async def _tick(screen: report.Screen, phase: Sequence[str], counts: Callable[[], str]) -> None:
    while True:
        screen.bar(phase[0], counts())
        await asyncio.sleep(0.5)


async def _evidence(
    cluster: Cluster, face: Face, gatherer: Collector, crowd: Crowd, saboteur: FaultInjector
) -> Evidence:
    judged_at = time.time()
    requests = await gatherer.requests()
    messages = await gatherer.messages(crowd.numbers, requests)
    known = names_of(face.calls, await gatherer.events(), messages)
    verifications = await gatherer.verifications(known)
    events = await gatherer.events()
    with contextlib.closing(cluster.store_client) as client:
        store = await asyncio.to_thread(store_facts, client)
    return Evidence(
        max_checks=MAX_CHECKS,
        judged_at=judged_at,
        calls=tuple(face.calls),
        messages=messages,
        requests=requests,
        verifications=verifications,
        events=events,
        faults=tuple(saboteur.faults),
        store=store,
        accidents=[*cluster.accidents, *crowd.broken, *cluster.log_lines(("Traceback", "panicked"))[:20]],
    )


if __name__ == "__main__":
    sys.exit(main())
