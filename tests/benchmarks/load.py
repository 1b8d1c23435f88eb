"""Load on one address from a plan of requests, by wrk where it is installed, else by the client of this folder.

Both are closed loops: each of the connections sends its next request when the answer to the last is there. So the
server is as busy as it can be, and latencies are those under full load. A pause of the server holds all connections
and would hide the requests that would have come meanwhile (coordinated omission): both add them to the percentiles.
Where latency at a chosen load counts, `open_loop` is used instead.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from . import programs

HERE = Path(__file__).parent
MARK = "BENCH "


class Request(NamedTuple):
    """One request of a plan."""

    path: str
    body: str
    method: str = "POST"


class Result(msgspec.Struct, frozen=True):
    """What a load gave. Times in seconds and milliseconds; `errors` are requests that got no answer."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[str, int]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0


class Job(NamedTuple):
    """A load: for so many seconds, or until the plan is at its end unless it is to begin `again`."""

    url: str
    plan: Sequence[Request]
    headers: Mapping[str, str]
    connections: int
    seconds: int
    again: bool = False


def program() -> str:
    """The load generator that is used: `wrk` or `python`."""
    return "wrk" if shutil.which("wrk") else "python"


def command(job: Job, plan: Path, generator: str) -> list[str]:
    """The command line of a load generator."""
    if generator == "python":
        again = ["--again"] if job.again else []
        options = ["--connections", str(job.connections), "--seconds", str(job.seconds), *again]
        return [sys.executable, "-m", "tests.benchmarks.load_client", job.url, str(plan), *options]
    options = ["-t1", f"-c{job.connections}", f"-d{job.seconds}s", "--timeout", "20s", "-s", str(HERE / "wrk.lua")]
    return ["wrk", *options, job.url, "--", str(plan)]


def environment(job: Job) -> dict[str, str]:
    """What both generators take from their environment."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in job.headers.items())
    again = {"BENCH_AGAIN": "1"} if job.again else {}
    root = str(HERE.parent.parent)
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": root, "BENCH_HEADERS": headers, **again}


def run(job: Job, folder: Path, generator: str | None = None) -> Result:
    """Put the load on. Raises ProgramFailed if the generator fails."""
    plan = folder / "plan"
    plan.write_text("".join(f"{line.method} {line.path}\t{line.body}\n" for line in job.plan), encoding="utf-8")
    line = command(job, plan, generator or program())
    output = programs.run(line, environment(job), folder, timeout_s=job.seconds + 60)
    return read(output)


def read(output: str) -> Result:
    """The result in the output of a generator. Raises ProgramFailed if there is none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            return msgspec.convert(json.loads(line.removeprefix(MARK)), Result)
    raise programs.ProgramFailed(f"the load generator gave no result:\n{output[-2000:]}")
