"""`python -m tests.benchmarks`: how fast the service is, beside others, on this machine.

Brings up everything on loopback, each target with a store of its own and new in each round, runs each row on one target
after the other (A B A B), and prints medians with their spread. Everything is ended at the end, also on Ctrl-C, and
what was measured until then is printed.

Only ratios of rows of the same run mean anything, and CPU per answer is steadier than answers a second.

Needs Linux, and redis-server or valkey-server on the PATH. Uses wrk where it is installed, and measures the naive peers
where the extra `bench` is: pip install -e '.[bench]'. To begin with: --short, then --rows check,start --rounds 3.
"""

import argparse
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from . import figures, goals, guide, load, picture, profile, report
from .measure import Leg
from .ours import ROOT, OtpService
from .own_rows import OWN
from .peers import servers
from .peers.otpgateway import OtpGateway
from .peers.our_front import BARE_FRONT
from .rows import LOADS, LoadRow, Options, OwnRow
from .runner import FAILURES, Runner
from .target import Target

BEGAN = time.monotonic()
DOCS = ROOT / "deploy" / "docs"
ROWS: Sequence[LoadRow | OwnRow] = (*LOADS, *OWN)
SHORT = Options(
    rounds=1, seconds=1, warm_up_s=0, connections=(4,), live=(200,), sends=50, waiting=20, primaries=(2,), expected=300
)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    words = "\n".join(f"  {row.word:13} {row.about}" for row in ROWS)
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog=f"rows:\n{words}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--rows", type=lambda text: text.split(","), help="only these of the rows below, separated by commas"
    )
    made.add_argument(
        "--connections",
        type=whole_numbers,
        help="16,64,1000 by default; the first for every row, the others for check and start",
    )
    made.add_argument("--live", type=whole_numbers, help="for the scripts: 10000,100000,1000000 by default")
    made.add_argument("--rounds", type=int, help=f"rounds (default {Options().rounds})")
    made.add_argument("--minutes", type=float, help=f"no round ends much later (default {Options().minutes:.0f})")
    made.add_argument("--seconds", type=int, help=f"of each leg (default {Options().seconds})")
    made.add_argument("--against", type=Path, metavar="PATH", help="another checkout with its own .venv")
    made.add_argument("--serve", metavar="OPTIONS", default="", help="for `serve`, e.g. --serve='--workers 4'")
    made.add_argument("--against-serve", metavar="OPTIONS", help="the other's; without --against of this checkout")
    made.add_argument("--otpgateway", type=Path, metavar="PATH", help="its binary, to be measured as well")
    made.add_argument("--no-peers", action="store_true", help="otp-service alone")
    made.add_argument(
        "--short",
        action="store_true",
        help="does it run at all? one second each, little of everything: its figures mean nothing",
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="keep the results")
    made.add_argument("--picture", type=Path, metavar="FILE", help="draw the rows of 16 connections as SVG")
    made.add_argument("--results", type=Path, metavar="FILE", help="measure nothing: take what --json has kept")
    made.add_argument(
        "--write-guide",
        type=Path,
        metavar="FILE",
        help="measure nothing: put what --json has kept into the sizing guide",
    )
    made.add_argument("--profile", choices=[row.word for row in LOADS], help="profile otp-service during this row")
    made.add_argument("--load", choices=("wrk", "python"), help="the load generator (default: wrk if it is installed)")
    return made


def whole_numbers(text: str) -> tuple[int, ...]:
    """Numbers separated by commas."""
    return tuple(int(part) for part in text.split(","))


def options_of(args: argparse.Namespace) -> Options:
    """The options of a run."""
    given = {
        name: getattr(args, name)
        for name in ("rounds", "seconds", "connections", "live", "minutes")
        if getattr(args, name)
    }
    return (SHORT if args.short else Options())._replace(generator=args.load, **given)


def say(line: str) -> None:
    """Tell how far it is."""
    print(f"{time.monotonic() - BEGAN:4.0f} s  {line}", file=sys.stderr, flush=True)


def own_target(args: argparse.Namespace) -> OtpService:
    """This checkout."""
    return OtpService("otp-service", ROOT, shlex.split(args.serve))


def targets_of(args: argparse.Namespace) -> list[Target]:
    """What is measured: this checkout first, it is what the others are compared with."""
    targets: list[Target] = [own_target(args)]
    if args.against or args.against_serve is not None:
        checkout = args.against.resolve() if args.against else ROOT
        targets.append(OtpService("against", checkout, shlex.split(args.against_serve or "")))
    if args.otpgateway:
        targets.append(OtpGateway(args.otpgateway))
    if not args.no_peers:
        targets.append(BARE_FRONT)
        for peer in servers.ALL:
            if peer.missing:
                say(f"without {peer.name}: needs {', '.join(peer.missing)} (the extra `bench`)")
            else:
                targets.append(peer)
    return targets


def about(args: argparse.Namespace, options: Options) -> dict[str, str]:
    """What the figures belong to, and what a reader must know of them."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    cores = len(os.sched_getaffinity(0))
    return {
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{cores} cores, Python {platform.python_version()}, Linux {platform.release()}",
        "load": f"{options.generator or load.program()}, seconds each: {options.seconds}",
        **({"short form": "it shows that everything runs; its figures mean nothing"} if args.short else {}),
        **({OtpGateway.name: OtpGateway(args.otpgateway).describe()} if args.otpgateway else {}),
    }


class Results(msgspec.Struct):
    """What `--json` keeps."""

    about: dict[str, str]
    legs: list[Leg]
    faults: list[str]


def measure(args: argparse.Namespace, results: Results) -> int:
    """Run the rows; what they give is added to the results as it comes. The exit status."""
    options = options_of(args)
    results.about = about(args, options)
    wanted = set(args.rows or (row.word for row in ROWS))
    runner = Runner(targets_of(args), options, say, results.legs, results.faults)
    try:
        runner.run([row for row in LOADS if row.word in wanted], [row for row in OWN if row.word in wanted])
    except KeyboardInterrupt:
        return 130
    finally:
        results.about["rounds"] = figures.rounds_made([leg.round for leg in results.legs], options.rounds)
    return 1 if results.faults else 0


def read(file: Path) -> Results:
    """What `--json` has kept."""
    return msgspec.json.decode(file.read_bytes(), type=Results)


def show(args: argparse.Namespace, results: Results) -> None:
    """Print the results, and write the files that were asked for."""
    if args.json:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    judged = [] if args.short else goals.table(results.legs)
    sys.stdout.write(report.render(results.legs, results.faults, results.about, judged))
    if args.picture:
        args.picture.write_text(picture.draw(results.legs, results.about), encoding="utf-8")


def measure_or_show(args: argparse.Namespace) -> int:
    """Run the rows, or take the results of an earlier run; show them. The exit status. Raises ValueError."""
    if args.results:
        results, status = read(args.results), 0
    else:
        results = Results({}, [], [])
        status = measure(args, results)
    show(args, results)
    return status


def main() -> int:
    """Run; 0 unless something failed."""
    made = build_parser()
    args = made.parse_args()
    if unknown := set(args.rows or ()) - {row.word for row in ROWS}:
        made.error(f"--rows: there is no {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was measured is printed
    try:
        if args.profile:
            row = next(row for row in LOADS if row.word == args.profile)
            sys.stdout.write(profile.run(own_target(args), row, options_of(args)))
            return 0
        if args.write_guide:
            kept = read(args.write_guide)
            guide.write(DOCS / "sizing.md", DOCS / "speed.svg", kept.legs, kept.about)
            return 0
        return measure_or_show(args)
    except (*FAILURES, ValueError) as error:
        made.exit(1, f"{error}\n")


if __name__ == "__main__":
    sys.exit(main())
