"""otp-service itself, from this checkout or another one: `serve` and `worker` as processes, a sink as the carrier.

Driven by its commands and by HTTP only, so that two versions can be compared, whatever is inside them.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from nacl.signing import SigningKey

from otp_service.runtime.ports import free_port

from . import store
from .load import Request
from .post import post_all
from .programs import HOST, ProgramFailed, Programs, answers, get, listens, run
from .target import Kind, Pending, Stack, Target, require

ROOT = Path(__file__).parent.parent.parent
HERE = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)}
"""The environment of the bench's own programs."""
WORKER = "worker"
TRIES = 5
SINK_MS = 150
CONFIGURATION = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
rate_per_s = 100000

[apps.default]
brand = "Acme"
route = ["pool"]
code_ttl = "10m"
max_checks = 20

[apps.default.guard]
mode = "monitor"

[apps.default.guessing]
mode = "alert"
"""
"""The defaults, but for a sender without a rate and for more tries, so that fewer starts make more wrong checks.

The pumping guard counts every start of an unknown number, and refuses none of them; wrong codes are counted, and make
no code harder to guess.
"""


@dataclass
class OurStack(Stack):
    """A running otp-service. The codes are read from what came to the carrier."""

    service: "OtpService" = field(kw_only=True)
    environ: Mapping[str, str] = field(kw_only=True)
    sink_url: str = field(kw_only=True)
    with_worker: bool = field(kw_only=True)
    used: int = field(default=0, kw_only=True)
    """Verifications that `make_pending` has started."""
    _sent: dict[str, tuple[str, int]] = field(default_factory=dict, kw_only=True)

    def start(self, number: str) -> Request:
        """`POST /verify/start`."""
        return Request("/verify/start", f'{{"to":"{number}"}}')

    def check(self, pending: Pending, code: str) -> Request:
        """`POST /verify/check` by the verification's id."""
        return Request("/verify/check", f'{{"verification_id":"{pending.id}","code":"{code}"}}')

    def check_by_number(self, pending: Pending, code: str) -> Request:
        """`POST /verify/check` by the number."""
        return Request("/verify/check", f'{{"to":"{pending.number}","code":"{code}"}}')

    def make_pending(self, count: int) -> list[Pending]:
        """Start them; with a worker their codes are known as well."""
        numbers, ids = self._start_all(count)
        if WORKER not in self.programs.sessions:
            return [Pending(number, one) for number, one in zip(numbers, ids, strict=True)]
        sent = self.sent_to(numbers)
        return [Pending(number, one, code) for number, one, (code, _) in zip(numbers, ids, sent, strict=True)]

    def _start_all(self, count: int) -> tuple[list[str], list[str]]:
        """Numbers and ids of so many starts. A busy machine may refuse some (503): then others, a few times."""
        started: list[tuple[str, str]] = []
        for _ in range(TRIES):
            numbers = [next(self.numbers) for _ in range(count - len(started))]
            found = post_all(self.url, [self.start(number) for number in numbers], self.headers)
            require([status for status, _ in found if status != 503], 201, "starts before a row")
            pairs = zip(numbers, found, strict=True)
            self.used += sum(status == 201 for status, _ in found)
            started += [
                (number, json.loads(body)["verification_id"]) for number, (status, body) in pairs if status == 201
            ]
            if len(started) == count:
                return [number for number, _ in started], [one for _, one in started]
            time.sleep(1)
        raise ProgramFailed(f"only {len(started)} of {count} starts before a row were not refused")

    def make_known(self, count: int) -> list[str]:
        """A worker sends their codes, and is gone before the numbers are used, unless it was there before."""
        if WORKER in self.programs.sessions:
            return super().make_known(count)
        self.start_worker()
        try:
            return super().make_known(count)
        finally:
            self.programs.stop(WORKER)

    def begin_leg(self) -> None:
        """Start the worker, where the stack has one."""
        if self.with_worker:
            self.start_worker()

    def end_leg(self) -> None:
        """End the worker: what is still queued would disturb whoever is measured next."""
        if self.with_worker and WORKER in self.programs.sessions:
            self.programs.stop(WORKER)

    def start_worker(self) -> None:
        """Start the delivery worker."""
        one = self.service.one_process(self.environ, self.programs.folder)
        self.programs.start(WORKER, self.service.command("worker", "--concurrency", "200", *one), self.environ)

    def start_waiters(self, file: Path, seconds: int) -> None:
        """Start the browsers of `waiters`, for so long at most."""
        command = [sys.executable, "-m", "tests.benchmarks.waiters", self.url, str(file), str(seconds)]
        self.programs.start("waiters", command, HERE)

    def store(self) -> Any:
        """A client of the store."""
        return redis.Redis.from_url(self.store_url, decode_responses=True)

    @property
    def store_url(self) -> str:
        """The address of the store."""
        return self.environ["OTP_REDIS_URL"]

    @property
    def sent(self) -> int:
        """How many messages are known to have come to the carrier."""
        return len(self._sent)

    def read_carrier(self) -> None:
        """Learn what came to the carrier since the last call."""
        for line in get(f"{self.sink_url}/messages").decode().splitlines():
            number, code, at_ns = line.split()
            self._sent[number] = code, int(at_ns)

    def wait_until_sent(self, timeout_s: float = 120.0) -> None:
        """Wait until as many messages came to the carrier as numbers were used. Raises ProgramFailed."""
        deadline = time.monotonic() + timeout_s
        while self.sent < self.used:
            if time.monotonic() > deadline:
                raise ProgramFailed(f"only {self.sent} of {self.used} messages came to the carrier")
            time.sleep(0.1)
            self.read_carrier()

    def sent_to(self, numbers: Sequence[str], timeout_s: float = 120.0) -> list[tuple[str, int]]:
        """The code that was sent to each number, and when the carrier got it, in ns of the monotonic clock.

        Waits until all are there. Raises ProgramFailed.
        """
        deadline = time.monotonic() + timeout_s
        while missing := sum(number not in self._sent for number in numbers):
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{missing} of {len(numbers)} messages did not come to the carrier")
            time.sleep(0.1)
            self.read_carrier()
        return [self._sent[number] for number in numbers]


def cluster_url(ports: Sequence[int]) -> str:
    """The address of a Cluster."""
    return f"redis+cluster://{','.join(f'{HOST}:{port}' for port in ports)}"


class OtpService(Target):
    """otp-service of one checkout."""

    kinds = frozenset(Kind)
    has_worker = True

    def __init__(self, name: str, checkout: Path, options: Sequence[str] = ()) -> None:
        self.name = name
        self.checkout = checkout
        self._options = options
        self._keyring: bytes | None = None
        own = checkout / ".venv" / "bin" / "python"
        self.python = sys.executable if checkout == ROOT or not own.exists() else str(own)

    def command(self, *arguments: str) -> list[str]:
        """A command of the service, in this checkout's environment."""
        return [self.python, "-m", "otp_service", *arguments]

    def environment(self, folder: Path, store_url: str, sink_port: int) -> dict[str, str]:
        """The environment of its processes. Writes the keyring, made once, and the configuration."""
        configuration, keyring = folder / "otp-service.toml", folder / "keyring.json"
        configuration.write_text(CONFIGURATION, encoding="utf-8")
        environ = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(self.checkout),
            "OTP_CONFIG": str(configuration),
            "OTP_KEYRING": str(keyring),
            "OTP_REDIS_URL": store_url,
            "OTP_PUBLIC_URL": "http://127.0.0.1:1",
            "OTP_QUEUE_MAX": "1000000",
            "TELNYX_BASE_URL": f"http://{HOST}:{sink_port}/v2",
            "TELNYX_API_KEY": "bench",
            "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(SigningKey.generate().verify_key)).decode(),
        }
        if self._keyring is None:
            run(self.command("keyring", "create", str(keyring)), environ, folder)
            self._keyring = keyring.read_bytes()
        keyring.touch(0o600)
        keyring.write_bytes(self._keyring)
        return environ

    def _has(self, option: str, command: str, environ: Mapping[str, str], folder: Path) -> bool:
        """Whether a command of it has this option; those of before 0.3 do not know all of them."""
        return self.checkout == ROOT or option in run(self.command(command, "--help"), environ, folder)

    def one_process(self, environ: Mapping[str, str], folder: Path) -> list[str]:
        """The options for a worker of one process, whose sends a second are measured."""
        return ["--processes", "1"] if self._has("--processes", "worker", environ, folder) else []

    def open(self, programs: Programs, *, worker: bool, serve: Sequence[str] = (), primaries: int = 0) -> OurStack:
        """Store, sink and API, with more options of `serve`; the worker runs during legs only.

        With `primaries` the store is a Cluster.
        """
        port, sink_port = free_port(), free_port()
        if primaries:
            store_url = cluster_url(store.start_cluster(programs, primaries))
        else:
            store_url = f"redis://{HOST}:{store.start(programs)}/0"
        sink = [sys.executable, "-m", "tests.benchmarks.sink", str(sink_port), str(SINK_MS)]
        programs.start("sink", sink, HERE, lambda: listens(sink_port))
        environ = self.environment(programs.folder, store_url, sink_port)
        drain = ["--drain", "0s"] if self._has("--drain", "serve", environ, programs.folder) else []
        command = self.command("serve", "--port", str(port), *drain, *self._options, *serve)
        programs.start("service", command, environ)
        create = self.command("keys", "create", "--app", "default", "--scope", "verify", "--json")
        key = json.loads(run(create, environ, programs.folder))["key"]
        url = f"http://{HOST}:{port}"
        programs.wait("service", lambda: answers(f"{url}/readyz"))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        sink_url = f"http://{HOST}:{sink_port}"
        return OurStack(programs, url, headers, service=self, environ=environ, sink_url=sink_url, with_worker=worker)
