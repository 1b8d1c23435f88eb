"""How long the store works on one start and on one check, in microseconds per call of EVALSHA.

Starts a redis-server of its own on a unix socket, without persistence; needs nothing else. The figures come from `INFO
commandstats`, reset before each part: only the server's own time counts, no connection and no Python. With `--live` it
first starts so many verifications, and prints a line of JSON for each number.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from tests.storage.harness import CODE, WRONG, StoreHarness, fresh_number

from . import script_calls, store
from .copies import Copies
from .programs import ProgramFailed


def main() -> None:
    """Print one line: microseconds of a start, of a wrong check and of a right one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000, help="calls of each kind, 10 000 at most (default 2000)")
    parser.add_argument("--live", help="numbers of live verifications, ascending, separated by commas")
    args = parser.parse_args()
    calls = min(args.calls, 10_000)
    try:
        server = store.program()
    except ProgramFailed as error:
        parser.exit(1, f"{error}\n")
    with own_store(server) as url:
        if args.live is None:
            start, wrong, right = measure(url, calls)
            sys.stdout.write(f"start {start:.1f}  check_wrong {wrong:.1f}  check_right {right:.1f}\n")
        else:
            _measure_each(url, calls, [int(part) for part in args.live.split(",")])


def _measure_each(url: str, calls: int, levels: list[int]) -> None:
    with contextlib.closing(Copies(url)) as copies:
        for live in levels:
            copies.fill(live)
            start, wrong, right = measure(url, calls)
            found = {"live": live, "start": start, "check, wrong": wrong, "check, right": right}
            sys.stdout.write(f"{json.dumps(found)}\n")
            sys.stdout.flush()


@contextlib.contextmanager
def own_store(server: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="otp-bench-") as folder:
        socket = Path(folder) / "redis.sock"
        settings = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen([server, *settings], stdout=subprocess.DEVNULL)
        try:
            _wait_for(socket)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(socket: Path) -> None:
    until = time.monotonic() + 10
    while not socket.exists():
        if time.monotonic() > until:
            raise TimeoutError("redis-server does not start")
        time.sleep(0.02)


def measure(url: str, calls: int) -> tuple[float, float, float]:
    """Microseconds per call of start, of a wrong check and of a right one, each on numbers of its own."""
    harness = StoreHarness.open(url)
    client: Any = redis.Redis.from_url(url, decode_responses=True)
    harness.check(harness.start(fresh_number(), queue_max=script_calls.QUEUE_MAX).reference, CODE)  # loads the scripts
    commands = [harness.start_command(fresh_number(), queue_max=script_calls.QUEUE_MAX) for _ in range(calls)]
    client.config_resetstat()
    for command in commands:
        harness.verifications.start(command)
    start = _usec_per_call(client, calls)
    wrong = _checks(harness, client, [harness.guess(command.reference, WRONG) for command in commands])
    right = _checks(harness, client, [harness.guess(command.reference, CODE) for command in commands])
    client.close()
    harness.close()
    return start, wrong, right


def _checks(harness: StoreHarness, client: Any, guesses: list[Any]) -> float:
    client.config_resetstat()
    for guess in guesses:
        harness.verifications.check(guess)
    return _usec_per_call(client, len(guesses))


def _usec_per_call(client: Any, calls: int) -> float:
    stats = client.info("commandstats")["cmdstat_evalsha"]
    assert stats["calls"] >= calls, stats  # more where a reply came too late and the call was repeated
    return float(stats["usec_per_call"])


if __name__ == "__main__":
    main()
