"""Bringing up the peers."""

import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from otp_service.runtime.ports import free_port

from .. import store
from ..load import Request
from ..post import post_all
from ..programs import HOST, Programs, listens
from ..target import Kind, Pending, Stack, Target, require
from . import naive

ROOT = Path(__file__).parent.parent.parent.parent
PROCESSES = str(len(os.sched_getaffinity(0)))


@dataclass
class NaiveStack(Stack):
    """A running naive service; its start tells the code."""

    start_path: str = field(default="/start", kw_only=True)

    def start(self, number: str) -> Request:
        """Start a verification."""
        return Request("/start", json.dumps({"to": number}))

    def check(self, pending: Pending, code: str) -> Request:
        """Check a code."""
        return Request("/check", json.dumps({"id": pending.id, "code": code}))

    def make_pending(self, count: int) -> list[Pending]:
        """Start them."""
        numbers = [next(self.numbers) for _ in range(count)]
        found = post_all(self.url, [self.start(number) for number in numbers], self.headers)
        require([status for status, _ in found], 201, "starts before a row")
        told = [json.loads(body) for _, body in found]
        return [Pending(number, one["id"], one["code"]) for number, one in zip(numbers, told, strict=True)]

    def make_known(self, count: int) -> list[str]:
        """Any numbers: it keeps nothing of a number, so a login before would change nothing."""
        return [next(self.numbers) for _ in range(count)]


class Naive(Target):
    """A naive service behind the usual server of its framework, one process for each core."""

    kinds = frozenset({Kind.WRONG, Kind.START, Kind.KNOWN})
    widest = 0

    def __init__(self, name: str, needs: Sequence[str], command: Sequence[str]) -> None:
        self.name = name
        self.needs = needs
        self._command = command

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed; the extra `bench` has them."""
        return [package for package in self.needs if importlib.util.find_spec(package) is None]

    def open(self, programs: Programs, *, worker: bool) -> NaiveStack:
        """Store and service."""
        redis_port, port = store.start(programs), free_port()
        environ = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "BENCH_STORE": f"redis://{HOST}:{redis_port}/0",
        }
        command = [part.format(port=port) for part in self._command]
        programs.start("service", [sys.executable, "-m", *command], environ, lambda: listens(port))
        headers = {"Authorization": naive.KEY, "Content-Type": "application/json"}
        return NaiveStack(programs, f"http://{HOST}:{port}", headers)


FLASK = Naive(
    "naive Flask",
    ["gunicorn"],
    ["gunicorn", "--workers", PROCESSES, "--bind", f"{HOST}:{{port}}", "tests.benchmarks.peers.flask_app:app"],
)
FASTAPI = Naive(
    "naive FastAPI",
    ["fastapi", "uvicorn", "uvloop", "httptools"],
    [
        *("uvicorn", "--workers", PROCESSES, "--host", HOST, "--port", "{port}", "--no-access-log"),
        "tests.benchmarks.peers.fastapi_app:app",
    ],
)
BARE = Naive(
    "bare WSGI, our scripts",
    ["granian"],
    [
        *("granian", "--interface", "wsgi", "--workers", PROCESSES, "--blocking-threads", "2", "--no-ws"),
        *("--host", HOST, "--port", "{port}", "--log-level", "error", "tests.benchmarks.peers.bare_app:app"),
    ],
)
ALL = (BARE, FASTAPI, FLASK)
