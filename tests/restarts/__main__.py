"""`python -m tests.restarts`: rolling restarts at length. Exit status 0 if no request was lost, each code sent once."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .instances import NAMES, Instances
from .load import Load
from .workers import WORKERS, Workers, report

_LONGEST_S = 600.0
_CARRIER_MS = 150
_STARTS_PER_S = 10.0
_BETWEEN_S = 1.0


def main() -> int:
    """Run it and print what happened."""
    args = build_parser().parse_args()
    haproxy = shutil.which("haproxy")
    if haproxy is None:
        sys.stderr.write("haproxy is needed (Debian: apt-get install haproxy)\n")
        return 2
    parts = [_restart_instances(haproxy, args), _restart_workers(args.worker_restarts)]
    return 0 if all(parts) else 1


def _restart_instances(haproxy: str, args: argparse.Namespace) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="otp-restarts-") as directory:
        instances = Instances(Path(directory), haproxy)
        with instances.serving(args.processes) as load:
            for number in range(args.restarts):
                instances.restart(NAMES[number % len(NAMES)])
                _say(f"restart {number + 1} of an API: {load.answered} requests answered, {len(load.lost)} lost")
            load.wait_for(args.requests, _LONGEST_S)
    _say_load(load, time.monotonic() - began)
    return _ended_well(instances.statuses) and not load.lost and load.answered >= args.requests


def _say_load(load: Load, seconds: float) -> None:
    for line in load.lost[:20]:
        _say(f"lost: {line}")
    counted = ", ".join(f"{status}: {times}" for status, times in sorted(load.by_status.items()))
    _say(f"{load.answered} requests answered ({counted}), {len(load.lost)} lost, in {seconds:.1f} s")


def _restart_workers(restarts: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="otp-restarts-") as directory:
        workers = Workers(Path(directory), _CARRIER_MS)
        with workers.working(*WORKERS) as client:
            with workers.starting(client, _STARTS_PER_S):
                for number in range(restarts):
                    time.sleep(_BETWEEN_S)
                    workers.restart(WORKERS[number % len(WORKERS)])
            sends = workers.sends(client)
            _say(f"{restarts} restarts of a worker: {len(workers.accepted)} starts, {report(workers.waits_s(client))}")
    wrong = {number: times for number, times in sends.items() if times != 1}
    _say(f"{sends.total()} messages, {len(wrong)} numbers that were not sent to once")
    return _ended_well(workers.statuses) and not wrong


def _ended_well(statuses: list[int]) -> bool:
    _say(f"exit statuses: {sorted(set(statuses))}")
    return set(statuses) <= {0}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.restarts",
        description="Under load, restart two instances of the API in turn behind a load balancer, then two workers.",
    )
    parser.add_argument("--requests", type=int, default=10_000, help="at least so many (default 10000)")
    parser.add_argument("--restarts", type=int, default=4, help="of one instance after the other (default 4)")
    parser.add_argument("--processes", type=int, default=2, help="of each instance (default 2)")
    parser.add_argument("--worker-restarts", type=int, default=2, help="of one worker after the other (default 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
