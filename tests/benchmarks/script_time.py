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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
            start, wrong, right = (one.clock for one in measure(url, calls).values())
            sys.stdout.write(f"start {start:.1f}  check_wrong {wrong:.1f}  check_right {right:.1f}\n")
        else:
            _measure_each(url, calls, [int(part) for part in args.live.split(",")])


def _measure_each(url: str, calls: int, levels: list[int]) -> None:
    with contextlib.closing(Copies(url)) as copies:
        for live in levels:
            copies.fill(live)
            found: dict[str, float] = {"live": live}
            for name, one in measure(url, calls).items():
                found |= {name: one.clock, f"{name}, CPU": one.cpu}
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


class Time(NamedTuple):
    """Microseconds of the store for a call: in the script, by the clock; and CPU, with reading and answering it."""

    clock: float
    cpu: float


def measure(url: str, calls: int) -> dict[str, Time]:
    """The time of a start, of a wrong check and of a right one, each on numbers of its own."""
    harness = StoreHarness.open(url)
    client: Any = redis.Redis.from_url(url, decode_responses=True)
    harness.check(harness.start(fresh_number(), queue_max=script_calls.QUEUE_MAX).reference, CODE)  # loads the scripts
    commands = [harness.start_command(fresh_number(), queue_max=script_calls.QUEUE_MAX) for _ in range(calls)]
    found = {"start": _timed(client, harness.verifications.start, commands)}
    for name, code in (("check, wrong", WRONG), ("check, right", CODE)):
        guesses = [harness.guess(command.reference, code) for command in commands]
        found[name] = _timed(client, harness.verifications.check, guesses)
    client.close()
    harness.close()
    return found


def _timed(client: Any, call: Callable[[Any], object], commands: Sequence[Any]) -> Time:
    client.config_resetstat()
    before = _cpu_s(client)
    for command in commands:
        call(command)
    used_s = _cpu_s(client) - before
    stats = client.info("commandstats")["cmdstat_evalsha"]
    assert stats["calls"] >= len(commands), stats  # more where a reply came too late and the call was repeated
    return Time(float(stats["usec_per_call"]), used_s * 1e6 / len(commands))


def _cpu_s(client: Any) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


if __name__ == "__main__":
    main()
