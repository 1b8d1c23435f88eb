"""`python -m tests.restarts`: a rolling restart at length. Exit status 0 if no request was lost."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .instances import NAMES, Instances
from .load import Load

_LONGEST_S = 120.0


def main() -> int:
    """Run it and print what happened."""
    args = _parser().parse_args()
    haproxy = shutil.which("haproxy")
    if haproxy is None:
        sys.stderr.write("haproxy is needed (Debian: apt-get install haproxy)\n")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="otp-restarts-") as directory:
        instances = Instances(Path(directory), haproxy)
        with instances.serving(args.processes) as load:
            for number in range(args.restarts):
                instances.restart(NAMES[number % len(NAMES)])
                _say(f"restart {number + 1}: {load.answered} requests answered, {len(load.lost)} lost")
            load.wait_for(args.requests, _LONGEST_S)
    return _conclude(load, instances.statuses, time.monotonic() - began)


def _conclude(load: Load, statuses: list[int], seconds: float) -> int:
    for line in load.lost[:20]:
        _say(f"lost: {line}")
    counted = ", ".join(f"{status}: {times}" for status, times in sorted(load.by_status.items()))
    _say(f"{load.answered} requests answered ({counted}), {len(load.lost)} lost, in {seconds:.1f} s")
    _say(f"{len(statuses)} restarts, exit statuses {sorted(set(statuses))}")
    return 0 if not load.lost and set(statuses) <= {0} else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.restarts",
        description="Restart two instances of the API in turn, behind a TCP load balancer and under load.",
    )
    parser.add_argument("--requests", type=int, default=10_000, help="at least so many (default 10000)")
    parser.add_argument("--restarts", type=int, default=6, help="of one instance after the other (default 6)")
    parser.add_argument("--processes", type=int, default=1, help="of each instance (default 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
