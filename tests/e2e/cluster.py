"""The service as separate processes that a test may kill and start again: store, sandbox, API and worker."""

import base64
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import redis

from otp_service import keyring
from otp_service.runtime import ports
from otp_service.runtime.dev import embedded_store

from ..conftest import clean_environ
from .processes import alive, descendants
from .service_client import ServiceClient, configuration, within


class Cluster:
    """Four processes on loopback. Each is started by name and may end in any way."""

    def __init__(self, directory: Path, toml_text: str | None = None, api_workers: int = 1) -> None:
        from nacl.signing import SigningKey

        self.directory = directory
        api, sandbox = ports.free_port(), ports.free_port()
        seed = SigningKey.generate()
        ring, toml = directory / "keyring.json", directory / "scenarios.toml"
        ring.touch(0o600)
        ring.write_bytes(keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"))
        toml.write_text(configuration() if toml_text is None else toml_text)
        self._store = self._start_store()
        self.env = {
            "OTP_CONFIG": str(toml),
            "OTP_KEYRING": str(ring),
            "OTP_REDIS_URL": self._store.url,
            "OTP_PUBLIC_URL": f"http://127.0.0.1:{api}",
            "OTP_URL": f"http://127.0.0.1:{api}",
            "SANDBOX_URL": f"http://127.0.0.1:{sandbox}",
            "TELNYX_BASE_URL": f"http://127.0.0.1:{sandbox}/v2",
            "TELNYX_API_KEY": "KEY" + secrets.token_hex(24),
            "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(seed.verify_key)).decode(),
            "TELNYX_WEBHOOK_SIGNING_SEED": base64.b64encode(bytes(seed)).decode(),
        }
        self._commands = {
            "sandbox": ["sandbox", "--port", str(sandbox), "--webhook-url", f"{self.env['OTP_URL']}/webhooks/telnyx"],
            "api": ["serve", "--port", str(api), "--workers", str(api_workers), "--drain", "0s"],
            "worker": ["worker", "--processes", "1"],
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: list[tuple[str, int]] = []

    def _start_store(self) -> embedded_store.EmbeddedServer:
        store = embedded_store.start(self.directory / "store")
        store.wait_ready()
        # A server that syncs is late in writing while the disk is slow, and then a kill does lose something.
        with redis.Redis.from_url(store.url) as client:
            client.config_set("appendfsync", "no")
        return store

    @contextmanager
    def running(self, *names: str) -> Iterator[Self]:
        """Start these, all three if none is named, and wait until they answer. Everything is ended with the block."""
        try:
            for name in names or self._commands:
                self.start(name)
            self.ready()
            yield self
        finally:
            self.close()

    def start(self, name: str) -> None:
        """Start one of `sandbox`, `api` and `worker`."""
        command = [sys.executable, "-m", "otp_service", *self._commands[name]]
        with (self.directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environ(**self.env))

    def end(self, name: str, number: signal.Signals, timeout_s: float = 30) -> int:
        """Send the signal, wait for the end, and return the exit status. None of its children may outlive it."""
        process = self._running.pop(name)
        below = descendants(process.pid)
        process.send_signal(number)
        status = process.wait(timeout_s)
        self.ended.append((name, status))
        within(30, lambda: not [pid for pid in below if alive(pid)], f"the end of what {name} had started")
        return status

    def pids(self, name: str) -> list[int]:
        """The process and all below it."""
        pid = self._running[name].pid
        return [pid, *descendants(pid)]

    def kill_a_child(self, name: str) -> None:
        """kill -9 of one of the process's own children."""
        children = [pid for pid, line in descendants(self._running[name].pid).items() if "tracker" not in line]
        if children:
            # It may have ended since the look.
            with suppress(ProcessLookupError):
                os.kill(children[-1], signal.SIGKILL)

    def stop_the_store(self, seconds: float) -> None:
        """The store hangs for so long."""
        os.kill(self._store.child.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._store.child.pid, signal.SIGCONT)

    def kill_the_store(self) -> None:
        """kill -9 of the store, and a new one on the same files."""
        os.kill(self._store.child.pid, signal.SIGKILL)
        self._store.child.process.wait(30)
        time.sleep(0.5)
        self._store = self._start_store()

    def ready(self, timeout_s: float = 120) -> None:
        """Wait until the sandbox and the API answer."""

        def answers() -> bool:
            try:
                journal = httpx.get(self.env["SANDBOX_URL"] + "/sandbox/journal", timeout=10)
                return journal.status_code == 200 == httpx.get(self.env["OTP_URL"] + "/readyz", timeout=10).status_code
            except httpx.HTTPError:
                return False

        within(timeout_s, answers, "readiness")

    def logs(self) -> str:
        """What all of them have logged."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def close(self) -> None:
        """End everything."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        self._store.stop()


@dataclass
class Traffic:
    """Callers that start verifications for ever new numbers and, like good callers, repeat what failed."""

    service_client: ServiceClient
    callers: int = 3
    pause_s: float = 0.05
    accepted: dict[str, str] = field(default_factory=dict)
    gave_up: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor | None = None

    def begin(self) -> None:
        """Let the callers call."""
        self.service_client.key()
        self._pool = ThreadPoolExecutor(self.callers)
        for _ in range(self.callers):
            self._pool.submit(self._call)

    def finish(self, at_least: int = 31) -> None:
        """Once so many were accepted, let each finish what it is about."""
        try:
            within(300, lambda: len(self.accepted) >= at_least, f"{at_least} accepted starts")
        finally:
            self._stop.set()
            self._end()

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _call(self) -> None:
        while not self._stop.is_set():
            number = self.service_client.number()
            self._until_answered(number)
            time.sleep(self.pause_s)

    def _until_answered(self, number: str) -> None:
        # Longer than the lease of a key whose request was killed, and killed again in each turn of a test.
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                answer = self.service_client.call(
                    "POST", "/verify/start", {"to": number}, Idempotency_Key=f"t{number[1:]}"
                )
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if answer.status_code in (200, 201):
                self.accepted[number] = answer.json()["verification_id"]
                return
            if answer.status_code not in (409, 429, 503):
                self.strange.append(f"{answer.status_code} {answer.text[:200]}")
            time.sleep(0.1)
        self.gave_up.append(number)
