"""The service as it runs in production, small: a store, two API processes, two workers, and the sandbox carrier.

All on loopback, in one directory. Every process is a child of this one, leads its own process group and is ended by
its own id; what is stopped is let go again whatever happens. A child that ends without having been told to is started
again, as a supervisor would, and counts as an accident.
"""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import redis

from otp_service import keyring
from otp_service.files import private_directory
from otp_service.runtime import ports, processes
from otp_service.runtime.dev import embedded_store
from otp_service.runtime.processes import Child

from ..conftest import clean_environ
from ..e2e.processes import alive, descendants
from .callers import RESEND_S, Place

CODE_TTL_S = 20
MAX_CHECKS = 5
START_TIMEOUT_S = 40.0
STARTING_S = 10.0
MOST_RESTARTS = 100
ORDER = ("sandbox", "api1", "api2", "worker1", "worker2")
_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
_TOML = f"""\
# Codes that live shortly, so that everything that is begun in a run also ends in it.
[senders.pool]
kind = "number_pool"
messaging_profile_id = "{_PROFILE}"
rate_per_s = 200

[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "{_PROFILE}"
rate_per_s = 200

[apps.default]
brand = "Campaign"
route = ["pool", "backup"]
code_ttl = "{CODE_TTL_S}s"
max_checks = {MAX_CHECKS}
# A few seconds less than the codes live, so that falling over in time is tried, too.
sent_within = "6s"
resend_after = [{", ".join(f'"{seconds}s"' for seconds in RESEND_S)}]
"""


class Cluster:
    """The processes by name. `close` ends whatever is there."""

    def __init__(self, directory: Path) -> None:
        from nacl.signing import SigningKey

        self.directory = directory
        self.accidents: list[str] = []
        self.restarts = 0
        private_directory(directory)
        ports = {name: ports.free_port() for name in ("sandbox", "api1", "api2")}
        self.sandbox_url = f"http://127.0.0.1:{ports['sandbox']}"
        self.apis = {name: f"http://127.0.0.1:{ports[name]}" for name in ("api1", "api2")}
        ring, toml, seed = directory / "keyring.json", directory / "campaign.toml", SigningKey.generate()
        ring.touch(0o600)
        ring.write_bytes(keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"))
        toml.write_text(_TOML, encoding="utf-8")
        self._store_url = ""
        self._env = {
            "OTP_CONFIG": str(toml),
            "OTP_KEYRING": str(ring),
            # Messages name the first process, the sandbox's profile the second: webhooks fail over like callers.
            "OTP_PUBLIC_URL": self.apis["api1"],
            "TELNYX_BASE_URL": f"{self.sandbox_url}/v2",
            "TELNYX_API_KEY": "KEY" + secrets.token_hex(24),
            "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(seed.verify_key)).decode(),
            "TELNYX_WEBHOOK_SIGNING_SEED": base64.b64encode(bytes(seed)).decode(),
        }
        hooks = f"{self.apis['api2']}/webhooks/telnyx"
        self._commands = {
            "sandbox": ["sandbox", "--port", str(ports["sandbox"]), "--webhook-url", hooks],
            **{name: ["serve", "--port", str(ports[name]), "--workers", "1"] for name in self.apis},
            **{name: ["worker", "--concurrency", "16"] for name in ("worker1", "worker2")},
        }
        self._children: dict[str, Child] = {}
        self._started: dict[str, float] = {}
        self._stopped: set[str] = set()

    # ---- beginning and end -----------------------------------------------------------------------------------------

    async def open(self) -> Place:
        """Start everything, wait until it serves, and make a key."""
        self.start("store")
        await self._store_ready()
        for name in ORDER:
            self.start(name)
        await self.ready()
        key = await asyncio.to_thread(self._make_key)
        return Place(self.apis, self.sandbox_url, key)

    @property
    def carrier_key(self) -> str:
        """What the sandbox wants to see under /v2."""
        return self._env["TELNYX_API_KEY"]

    def close(self) -> None:
        """End everything that was started, the stopped too. For any moment, more than once."""
        for name in list(self._stopped):
            self._signal(name, signal.SIGCONT)
        running = [self._children[name] for name in (*reversed(ORDER), "store") if name in self._children]
        processes.stop(running[:-1] if "store" in self._children else running, 8.0)
        processes.stop(running, 3.0)
        self._children.clear()

    async def ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until both API processes and the sandbox answer. Raises TimeoutError with what was said last."""
        wanted = [*(f"{url}/readyz" for url in self.apis.values()), f"{self.sandbox_url}/sandbox/phones/+1/messages"]
        deadline = time.monotonic() + timeout_s
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for url in wanted:
                while not await _answers(client, url):
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{url} does not answer:\n{self.last_output()}")
                    self.revive()
                    await asyncio.sleep(0.1)

    def last_output(self) -> str:
        """The end of every log."""
        return "\n".join(f"{name}: {child.last_output(3)}" for name, child in self._children.items())

    def _make_key(self) -> str:
        command = [sys.executable, "-m", "otp_service", "keys", "create", "--app", "default", "--json"]
        for scope in ("verify", "audit:read"):
            command += ["--scope", scope]
        done = subprocess.run(command, env=self._environ(), capture_output=True, text=True, timeout=30, check=True)
        return str(json.loads(done.stdout)["key"])

    def _environ(self) -> dict[str, str]:
        # What a killed process leaves in its temporary directory goes with ours.
        return clean_environ(**self._env, OTP_REDIS_URL=self._store_url, TMPDIR=str(self.directory))

    # ---- the processes ---------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start one. Not necessarily ready. Call in the main thread: the kernel ties the children's lives to it."""
        log = self.directory / f"{name}.log"
        self._started[name] = time.monotonic()
        if name == "store":
            server = embedded_store.start(self.directory / "store", log=log)
            if self._store_url not in ("", server.url):
                raise ValueError(f"the store's address must not change; use a shorter path than {self.directory}")
            self._store_url, self._children[name] = server.url, server.child
        else:
            command = [sys.executable, "-m", "otp_service", *self._commands[name]]
            self._children[name] = processes.spawn(name, command, environ=self._environ(), log=log)

    async def kill(self, name: str) -> None:
        """kill -9 of the process itself, and wait until its children, if any, have gone with it."""
        child = self._children.pop(name)
        below = descendants(child.pid)
        child.process.kill()
        child.process.wait(5)
        deadline = time.monotonic() + 6
        while any(alive(pid) for pid in below):
            if time.monotonic() > deadline:
                self.accidents.append(f"orphan: what {name} had started outlives it by six seconds")
                child.kill()
                return
            await asyncio.sleep(0.02)

    def kill_a_child(self, name: str) -> None:
        """kill -9 of the process that serves below the main one."""
        below = [pid for pid, line in descendants(self._children[name].pid).items() if "tracker" not in line]
        if below:
            os.kill(below[-1], signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP for the whole group, for as long as this lasts."""
        self._stopped.add(name)
        self._signal(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(name, signal.SIGCONT)
            self._stopped.discard(name)

    def _signal(self, name: str, number: signal.Signals) -> None:
        child = self._children.get(name)
        if child is not None and not child.ended():
            os.killpg(child.pid, number)

    def revive(self) -> None:
        """Start again what ended by itself, and remember it.

        An API process that finds no store when it starts says so and ends, as it promises: that is no accident.
        """
        for name, child in list(self._children.items()):
            if not child.ended():
                continue
            words = child.end_report()
            starting = time.monotonic() - self._started[name] < STARTING_S
            if not (starting and name in self.apis and "store" in words.rpartition("\n")[2]):
                self.accidents.append(f"{name}: {words}"[:400])
            if self.restarts < MOST_RESTARTS:
                self.restarts += 1
                self.start(name)

    async def watch(self) -> None:
        """`revive`, until canceled."""
        while True:
            self.revive()
            await asyncio.sleep(0.2)

    # ---- the store -------------------------------------------------------------------------------------------------

    @property
    def store_client(self) -> redis.Redis:
        """A client of the store for faults and for the dump at the end; not the service's."""
        return redis.Redis.from_url(self._store_url, decode_responses=True, socket_timeout=5)

    async def _store_ready(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(redis.RedisError):
                await asyncio.to_thread(self._ping)
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the store does not answer:\n{self.last_output()}")
            await asyncio.sleep(0.05)

    def _ping(self) -> None:
        with self.store_client as client:
            client.ping()

    def log_lines(self, words: tuple[str, ...]) -> list[str]:
        """The lines of all logs that hold one of the words."""
        return [
            f"{path.name}: {line.strip()[:300]}"
            for path in sorted(self.directory.glob("*.log"))
            for line in path.read_text(errors="replace").splitlines()
            if any(word in line for word in words)
        ]


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        answer = await client.get(url)
    except httpx.HTTPError:
        return False
    return answer.status_code < 500 if "/sandbox/" in url else answer.status_code == 200
