"""How long the store works on one start and on one check, in microseconds per call of EVALSHA.

Starts a redis-server of its own on a unix socket, without persistence; needs nothing else. The figures come from
`INFO commandstats`, reset before each part: only the server's own time counts, no connection and no Python.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis

from tests.storage.harness import CODE, WRONG, StoreHarness, fresh_number


def main() -> None:
    """Print one line: microseconds of a start, of a wrong check and of a right one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000, help="calls of each kind, 10 000 at most (default 2000)")
    calls = min(parser.parse_args().calls, 10_000)
    server = shutil.which("redis-server")
    if server is None:
        parser.error("redis-server is not in the path")
    with tempfile.TemporaryDirectory(prefix="otp-bench-") as folder:
        socket = Path(folder) / "redis.sock"
        settings = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen([server, *settings], stdout=subprocess.DEVNULL)
        try:
            _wait_for(socket)
            start, wrong, right = measure(f"unix://{socket}", calls)
        finally:
            process.terminate()
            process.wait(10)
    sys.stdout.write(f"start {start:.1f}  check_wrong {wrong:.1f}  check_right {right:.1f}\n")


def _wait_for(socket: Path) -> None:
    until = time.monotonic() + 10
    while not socket.exists():
        if time.monotonic() > until:
            raise TimeoutError("redis-server does not start")
        time.sleep(0.02)


def measure(url: str, calls: int) -> tuple[float, float, float]:
    """Microseconds per call of start, of a wrong check and of a right one, each on numbers of its own."""
    harness = StoreHarness.open(url)
    client: Any = redis.Redis(unix_socket_path=url.removeprefix("unix://"), decode_responses=True)
    harness.check(harness.start(fresh_number()).reference, CODE)  # loads the scripts
    orders = [harness.order(fresh_number()) for _ in range(calls)]
    client.config_resetstat()
    for order in orders:
        harness.verifications.start(order)
    start = _usec_per_call(client, calls)
    wrong = _checks(harness, client, [harness.guess(order.reference, WRONG) for order in orders])
    right = _checks(harness, client, [harness.guess(order.reference, CODE) for order in orders])
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
