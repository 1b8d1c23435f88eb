"""The whole bench in its short form: it runs, it measures every row, and it leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import needs_program, wait_until
from tests.e2e.processes import alive, descendants

from .accounting import PROC, processes
from .ours import ROOT

TIMEOUT_S = 600


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The bench as a process; its temporary files, and so the marks of its programs, are in the folder."""
    environ = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "tests.benchmarks", "--short", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left(folder: Path) -> list[str]:
    """The command lines of living processes that were started in this folder."""
    found = []
    for stat in processes():
        try:
            inside = str((PROC / str(stat.pid) / "cwd").readlink()).startswith(str(folder))
            if inside and stat.state != "Z":
                found.append((PROC / str(stat.pid) / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_every_row_gives_figures(tmp_path: Path) -> None:
    """Exit status 0, a figure for each row, a table for a reader, no program left; no time is judged."""
    needs_program("redis-server", "valkey-server")
    file = tmp_path / "result.json"
    bench = start(tmp_path, "--no-peers", "--json", str(file))
    output, errors = bench.communicate(timeout=TIMEOUT_S)
    assert bench.returncode == 0, output + errors
    result = json.loads(file.read_text())
    assert result["faults"] == []
    rows = [leg["row"] for leg in result["legs"]]
    assert len(rows) == len(set(rows)) == 16
    for leg in result["legs"]:
        figures = leg["extra"] or {"per_s": leg["per_s"], **leg["cpu_us"]}
        assert any(figures.values()), leg
        assert leg["row"] in output
    assert left(tmp_path) == []
    assert "its figures mean nothing" in output


@pytest.mark.parametrize(("row", "programs"), [("check", 3), ("scripts", 2)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(row: str, programs: int, number: signal.Signals, tmp_path: Path) -> None:
    """In the middle of a row: what was measured is printed, and no program is left, nor what a program had started."""
    needs_program("redis-server", "valkey-server")
    # More rounds and more live verifications than are over before the signal comes, however busy the machine is.
    bench = start(tmp_path, "--no-peers", "--rows", row, "--live", "2000000", "--rounds", "1000")

    def started() -> list[int]:
        found = descendants(bench.pid)
        servers = [line for line in found.values() if re.search(r"(redis|valkey)-server", line)]
        return list(found) if len(servers) == 1 and len(found) >= programs else []

    with bench:
        try:
            pids = wait_until(started, timeout_s=TIMEOUT_S, what="the start of the programs")
            bench.send_signal(number)
            output, errors = bench.communicate(timeout=TIMEOUT_S)
        finally:
            bench.kill()
    assert bench.returncode == 130, output + errors
    assert output.startswith("## Benchmark")
    wait_until(lambda: not any(map(alive, pids)) and left(tmp_path) == [], timeout_s=60, what="the end of the programs")
