"""`python -m tests.benchmarks`: how fast the service is, beside others, on this machine.

Brings up everything on loopback, each target with a store of its own and new in each round, runs each row on one target
after the other (A B A B), and prints medians with their spread. Everything is ended at the end, also on Ctrl-C, and
what was measured until then is printed.

Only ratios of rows of the same run mean anything, and CPU per answer is steadier than answers a second.
"""

import argparse
import os
import platform
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from . import load, picture, profile, report
from .measure import Leg
from .ours import ROOT, OtpService
from .own_rows import OWN
from .peers import servers
from .peers.otpgateway import OtpGateway
from .rows import LOADS, LoadRow, Options, OwnRow
from .runner import Runner
from .target import Target

ROWS: Sequence[LoadRow | OwnRow] = (*LOADS, *OWN)
SHORT = Options(rounds=1, seconds=1, warm_up_s=0, connections=(4,), live=(200,), sends=50, waiting=20, expected=300)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    words = "\n".join(f"  {row.word:13} {row.about}" for row in ROWS)
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog=f"rows:\n{words}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--rows", type=lambda text: text.split(","), help="only these, separated by commas")
    made.add_argument(
        "--connections",
        type=whole_numbers,
        help="16,64,1000 by default; the first for every row, the others for check and start",
    )
    made.add_argument("--live", type=whole_numbers, help="for the scripts: 10000,100000,1000000 by default")
    made.add_argument("--rounds", type=int, help=f"rounds (default {Options().rounds})")
    made.add_argument("--seconds", type=int, help=f"of each leg (default {Options().seconds})")
    made.add_argument("--against", type=Path, metavar="PATH", help="another checkout with its own .venv")
    made.add_argument("--serve", metavar="OPTIONS", default="", help="for `serve`, e.g. --serve='--workers 4'")
    made.add_argument("--against-serve", metavar="OPTIONS", help="the other's; without --against of this checkout")
    made.add_argument("--otpgateway", type=Path, metavar="PATH", help="its binary, to be measured as well")
    made.add_argument("--no-peers", action="store_true", help="otp-service alone")
    made.add_argument("--short", action="store_true", help="one second each, little of everything: does it run at all?")
    made.add_argument("--json", type=Path, metavar="FILE", help="keep the results")
    made.add_argument("--picture", type=Path, metavar="FILE", help="draw the rows of 16 connections as SVG")
    made.add_argument("--results", type=Path, metavar="FILE", help="measure nothing: take what --json has kept")
    made.add_argument("--profile", choices=[row.word for row in LOADS], help="profile otp-service during this row")
    made.add_argument("--load", choices=("wrk", "python"), help="the load generator (default: wrk if it is installed)")
    return made


def whole_numbers(text: str) -> tuple[int, ...]:
    """Numbers separated by commas."""
    return tuple(int(part) for part in text.split(","))


def options_of(args: argparse.Namespace) -> Options:
    """The options of a run."""
    given = {name: getattr(args, name) for name in ("rounds", "seconds", "connections", "live") if getattr(args, name)}
    return (SHORT if args.short else Options())._replace(generator=args.load, **given)


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


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
        for peer in servers.ALL:
            if peer.missing:
                say(f"without {peer.name}: needs {', '.join(peer.missing)} (the extra `bench`)")
            else:
                targets.append(peer)
    return targets


def about(options: Options) -> dict[str, str]:
    """What the figures belong to."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    cores = len(os.sched_getaffinity(0))
    return {
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{cores} cores, Python {platform.python_version()}, Linux {platform.release()}",
        "load": f"{options.generator or load.program()}, {options.rounds} rounds of {options.seconds} s",
    }


class Results(msgspec.Struct):
    """What `--json` keeps."""

    about: dict[str, str]
    legs: list[Leg]
    faults: list[str]


def measure(args: argparse.Namespace, results: Results) -> int:
    """Run the rows; what they give is added to the results as it comes. The exit status."""
    options = options_of(args)
    results.about = about(options)
    wanted = set(args.rows or (row.word for row in ROWS))
    runner = Runner(targets_of(args), options, say, results.legs, results.faults)
    try:
        runner.run([row for row in LOADS if row.word in wanted], [row for row in OWN if row.word in wanted])
    except KeyboardInterrupt:
        return 130
    return 1 if results.faults else 0


def show(args: argparse.Namespace, results: Results) -> None:
    """Print the results, and write the files that were asked for."""
    if args.json:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    if args.picture:
        args.picture.write_text(picture.draw(results.legs, results.about), encoding="utf-8")
    sys.stdout.write(report.render(results.legs, results.faults, results.about))


def main() -> int:
    """Run; 0 unless something failed."""
    made = build_parser()
    args = made.parse_args()
    if unknown := set(args.rows or ()) - {row.word for row in ROWS}:
        made.error(f"--rows: there is no {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was measured is printed
    if args.profile:
        row = next(row for row in LOADS if row.word == args.profile)
        sys.stdout.write(profile.run(own_target(args), row, options_of(args)))
        return 0
    if args.results:
        results, status = msgspec.json.decode(args.results.read_bytes(), type=Results), 0
    else:
        results = Results({}, [], [])
        status = measure(args, results)
    show(args, results)
    return status


if __name__ == "__main__":
    sys.exit(main())
