"""What processes count, as the others read it from the files that they share."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, threading
from otp_service import metric_values, telemetry
from prometheus_client import values

assert values.ValueClass is metric_values.SharedValue

def count():
    for _ in range(500):
        telemetry.child(telemetry.CHECKS, "a", "b").inc()
        telemetry.child(telemetry.LATENCY, "/r").observe(0.25)

threads = [threading.Thread(target=count) for _ in range(4)]
[one.start() for one in threads]
[one.join() for one in threads]
telemetry.WORKER_BUSY.set(7)
telemetry.WORKER_BUSY.dec()
# A file that grows moves in memory, and what was counted before must go on in the new place.
for number in range(2_000):
    telemetry.child(telemetry.CHECKS, f"app{number}", "x").inc()
count()
child = os.fork()
if not child:
    count()
    telemetry.WORKER_BUSY.inc(2)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
count()
for amount in (-1.0, 0.0, 0.001, 0.0011, 0.25, 2.5, 2.6, 1e9):
    telemetry.observe(telemetry.LATENCY, amount, "/found")
    telemetry.child(telemetry.LATENCY, "/asked").observe(amount)
print(telemetry.metrics_text().decode())
"""

KILLED = """
import os, signal, threading, time
from pathlib import Path
from otp_service import telemetry
from otp_service.runtime.children import Children
from otp_service.runtime.signals import Stop

directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
stop = Stop()

def work(number):
    telemetry.CHECKS.labels("a", "b").inc()
    if not (directory / "first").exists():
        telemetry.WORKER_BUSY.set(5)
        (directory / "first").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    telemetry.WORKER_BUSY.set(2)
    (directory / "second").touch()
    signal.pause()

def look():
    while not (directory / "second").exists():
        time.sleep(0.01)
    print(telemetry.metrics_text().decode())
    stop.set()

looking = threading.Thread(target=look)
looking.start()
Children(work, (), 1, 10.0, directory).run(stop)
looking.join()
"""


def test_nothing_is_lost_by_threads_growing_files_and_forks(tmp_path: Path) -> None:
    """Four threads, one that goes on, one in a child, and one in the parent after it."""
    told = _run(PROGRAM, tmp_path)
    assert 'otp_checks_total{answer="b",app="a"} 3500.0' in told
    assert 'otp_http_request_seconds_count{route="/r"} 3500.0' in told
    assert 'otp_http_request_seconds_sum{route="/r"} 875.0' in told
    assert 'otp_checks_total{answer="x",app="app1999"} 1.0' in told
    # An amount goes into the same bucket, whoever finds it.
    found, asked = (
        [line.replace(f"/{word}", "") for line in told if f"/{word}" in line] for word in ("found", "asked")
    )
    assert found == asked
    assert 'otp_http_request_seconds_bucket{le="0.001",route="/found"} 3.0' in told
    # The child has ended without saying so; a sum over processes counts it until then.
    assert "otp_worker_jobs 8.0" in told


def test_a_child_that_was_killed_works_no_more(tmp_path: Path) -> None:
    """What it had in flight is in flight no longer when another one takes its place. What it counted stays."""
    told = _run(KILLED, tmp_path)
    assert "otp_worker_jobs 2.0" in told
    assert 'otp_checks_total{answer="b",app="a"} 2.0' in told


def _run(program: str, folder: Path) -> list[str]:
    environ = {"PATH": os.environ["PATH"], "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
