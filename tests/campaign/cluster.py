"""A small production-like cluster: a store of one of three kinds, two API processes, two workers and the sandbox.

Everything runs on loopback and in one directory. Every process is a child of this one with its own process group, and
is ended by its own id. A stopped process is always continued. A process that ends by itself is started again, as a
supervisor would, and counts as an accident.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from redis.crc import key_slot

from otp_service import bootstrap, config, keyring
from otp_service.files import private_directory
from otp_service.runtime import ports, processes
from otp_service.runtime.processes import Child
from otp_service.storage.schema import Keys

from ..conftest import clean_environ
from ..e2e.processes import alive, descendants
from . import stores
from .caller import RESEND_S
from .case import STARTUP_S
from .client import Endpoints
from .evidence import FailedStart
from .receiver import Receiver
from .scenarios import MAX_CHECKS, WRONG_CODES_PER_NUMBER
from .webhook_relay import WebhookRelay

CODE_TTL_S = 20
START_TIMEOUT_S = 90.0
MAX_RESTARTS = 100
ENDS_S = 30.0
LOOK_S, LOOKS = 0.02, 300
"""How often it is looked whether the children of a process that was killed have ended: for six seconds."""

_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
_TOML = """\
# Codes expire soon, so that everything that a run begins also ends in it.
[senders.pool]
kind = "number_pool"
messaging_profile_id = "{profile}"
rate_per_s = 200

[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "{profile}"
rate_per_s = 200

[apps.default]
brand = "Campaign"
route = ["pool", "backup"]
code_ttl = "{pace.code_ttl_s}s"
max_checks = {max_checks}
wrong_codes_per_number = [{{limit = {wrong_codes}, per = "24h"}}]
callback_url = "{callback_url}"
callback_allow_private = true
# Shorter than code_ttl, so that failover is tested too.
sent_within = "{pace.sent_within_s}s"
resend_after = {resend_after}

[apps.other]
brand = "Other"
route = ["pool"]

# Callers that never enter a code are many here: budgets are counted, and refuse nobody.
[apps.default.guard]
mode = "monitor"

[apps.other.guard]
mode = "monitor"

# Callers guess much here: a few minutes of it would leave each verification fewer guesses than the judge expects.
[apps.default.guessing]
mode = "alert"
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long codes live and what is waited for, in seconds."""

    code_ttl_s: int = CODE_TTL_S
    sent_within_s: int = 6
    resend_s: Sequence[int] = RESEND_S


class Cluster:
    """The processes by name. `close` ends all of them.

    `copies` is the number of API processes, and of workers. `code`: where the service is imported from, if it is not
    the one that runs this.
    """

    def __init__(
        self,
        directory: Path,
        store_kind: str = "server",
        *,
        copies: int = 2,
        pace: Pace = Pace(),
        code: Path | None = None,
    ) -> None:
        from nacl.signing import SigningKey

        self.directory = directory
        self.store = stores.KINDS[store_kind](directory)
        self.receiver = Receiver()
        self.accidents: list[str] = []
        self.failed_starts: list[FailedStart] = []
        self.restarts = 0
        private_directory(directory)
        apis, workers = ([f"{kind}{number + 1}" for number in range(copies)] for kind in ("api", "worker"))
        self.order = ("sandbox", *apis, *workers)
        self._code = code
        numbers = {name: ports.free_port() for name in ("sandbox", *apis)}
        self.sandbox_url = f"http://127.0.0.1:{numbers['sandbox']}"
        self.apis = {name: f"http://127.0.0.1:{numbers[name]}" for name in apis}
        ring, toml, seed = directory / "keyring.json", directory / "campaign.toml", SigningKey.generate()
        ring.touch(0o600)
        ring.write_bytes(keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"))
        toml.write_text(_configuration(self.receiver.url, pace), encoding="utf-8")
        self._env = {
            "OTP_CONFIG": str(toml),
            "OTP_KEYRING": str(ring),
            "OTP_CALLBACK_SECRET_DEFAULT": self.receiver.secret,
            # A message's webhook URL is the first process, the profile's the second, so webhooks have a failover.
            "OTP_PUBLIC_URL": self.apis[apis[0]],
            "TELNYX_BASE_URL": f"{self.sandbox_url}/v2",
            "TELNYX_API_KEY": "KEY" + secrets.token_hex(24),
            "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(seed.verify_key)).decode(),
            "TELNYX_WEBHOOK_SIGNING_SEED": base64.b64encode(bytes(seed)).decode(),
        }
        self.webhooks = WebhookRelay(self.apis[apis[-1]])
        hooks = f"{self.webhooks.url}/webhooks/telnyx"
        self._commands = {
            "sandbox": ["sandbox", "--port", str(numbers["sandbox"]), "--webhook-url", hooks],
            **{name: ["serve", "--port", str(numbers[name]), "--workers", "1", "--drain", "0s"] for name in self.apis},
            **{name: ["worker", "--processes", "1", "--concurrency", "16"] for name in workers},
        }
        self._children: dict[str, Child] = {}
        self._started: dict[str, float] = {}
        self._stopped: set[str] = set()

    # ---- starting and ending ---------------------------------------------------------------------------------------

    async def open(self) -> Endpoints:
        """Start everything, wait until it serves, and create an API key."""
        for name in self.store.names:
            self.start(name)
        await asyncio.to_thread(self.store.form)
        for name in self.order:
            self.start(name)
        await self.ready()
        keys = [await asyncio.to_thread(self._make_key, app) for app in ("default", "other")]
        return Endpoints(self.apis, self.sandbox_url, *keys)

    def slots(self, numbers: Sequence[str]) -> dict[str, Sequence[int]]:
        """In which slots of a Cluster each number's data are, and what each call of a kind touches beside them.

        A check by number and one by id touch the same; what needs a key or a subject touches more, and is not here.
        """
        settings = config.load(self._environ())
        ids, keys = config.load_keyring(settings).ids, Keys(settings.shards)
        shared = (key_slot(keys.api_keys().encode()),)
        started = (*shared, key_slot(keys.spend("default").encode()))
        found = {number: (key_slot(keys.number(ids.number_hash(number)).encode()),) for number in numbers}
        return {**found, "start": started, "check": shared, "cancel": shared}

    @property
    def carrier_key(self) -> str:
        """The API key of the sandbox."""
        return self._env["TELNYX_API_KEY"]

    def close(self) -> None:
        """End every process, stopped ones too. May be called at any time and more than once."""
        for name in list(self._stopped):
            self._signal(name, signal.SIGCONT)
        processes.stop([self._children[name] for name in reversed(self.order) if name in self._children], 8.0)
        processes.stop(list(self._children.values()), 3.0)
        self._children.clear()
        self.receiver.close()
        self.webhooks.close()

    def kill_all(self) -> None:
        """End every process at once."""
        for child in self._children.values():
            child.kill()
        self.close()

    async def ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until both API processes and the sandbox respond. Raises TimeoutError with the ends of the logs."""
        wanted = [*(f"{url}/readyz" for url in self.apis.values()), f"{self.sandbox_url}/sandbox/phones/+1/messages"]
        deadline = time.monotonic() + timeout_s
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for url in wanted:
                while not await _responds(client, url):
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{url} does not respond:\n{self.last_output()}")
                    self.restart_ended()
                    await asyncio.sleep(0.1)

    def last_output(self) -> str:
        """The end of every log."""
        return "\n".join(f"{name}: {child.last_output(3)}" for name, child in self._children.items())

    def _make_key(self, app: str) -> str:
        keys = bootstrap.build_api_keys(config.load(self._environ()))
        return keys.create(app, ("verify", "factors", "audit:all"), None).key

    def command(self, *words: str, timeout_s: float) -> "subprocess.CompletedProcess[str]":
        """Run a command of the service that runs this, with the environment of the processes here."""
        return subprocess.run(
            [sys.executable, "-m", "otp_service", *words],
            env=self._own_environ(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def _environ(self) -> dict[str, str]:
        code = {} if self._code is None else {"PYTHONPATH": str(self._code)}
        return self._own_environ() | code

    def _own_environ(self) -> dict[str, str]:
        # Temporary files of killed processes are then removed with this directory.
        return clean_environ(**self._env, OTP_REDIS_URL=self.store.url, TMPDIR=str(self.directory))

    # ---- the processes ---------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start one process and do not wait for it. Only for the main thread: children end with their parent thread."""
        log = self.directory / f"{name}.log"
        self._started[name] = time.time()
        if name in self.store.names:
            self._children[name] = self.store.start(name)
        else:
            command = [sys.executable, "-m", "otp_service", *self._commands[name]]
            self._children[name] = processes.spawn(
                name, command, environ=self._environ(), log=log, directory=self._code
            )

    async def kill(self, name: str) -> None:
        """kill -9 of the process, and wait until its own children have ended too."""
        child = self._children.pop(name)
        below = descendants(child.pid)
        child.process.kill()
        child.process.wait(ENDS_S)
        # Looks are counted, and not the time: while the machine stands still, nobody ends.
        for _ in range(LOOKS):
            if not any(alive(pid) for pid in below):
                return
            await asyncio.sleep(LOOK_S)
        self.accidents.append(f"left behind: a child of {name} still runs six seconds after it")
        child.kill()

    def kill_child(self, name: str) -> None:
        """kill -9 of the child that serves."""
        below = [pid for pid, line in descendants(self._children[name].pid).items() if "tracker" not in line]
        if below:
            os.kill(below[-1], signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP for the process group inside this context."""
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

    def restart_ended(self) -> None:
        """Restart processes that ended by themselves, and record each as an accident.

        One that ends while it starts may have found no store. The judge knows whether it was away.
        """
        for name, child in list(self._children.items()):
            if not child.ended():
                continue
            words = child.end_report()
            began = self._started[name]
            refused_to_start = "\notp-service: " in words and time.time() - began < START_TIMEOUT_S
            if name in self.order[1:] and (refused_to_start or time.time() - began < STARTUP_S):
                self.failed_starts.append(FailedStart(name, began, time.time(), words[-400:]))
            else:
                self.accidents.append(f"{name}: {words}"[:400])
            if self.restarts < MAX_RESTARTS:
                self.restarts += 1
                self.start(name)

    async def watch(self) -> None:
        """Call `restart_ended` until canceled."""
        while True:
            self.restart_ended()
            await asyncio.sleep(0.2)

    def log_lines(self, words: tuple[str, ...]) -> list[str]:
        """The lines of all logs that contain one of the words."""
        return [
            f"{path.name}: {line.strip()[:300]}"
            for path in sorted(self.directory.glob("*.log"))
            for line in path.read_text(errors="replace").splitlines()
            if any(word in line for word in words)
        ]


def _configuration(callback_url: str, pace: Pace) -> str:
    return _TOML.format(
        profile=_PROFILE,
        pace=pace,
        max_checks=MAX_CHECKS,
        wrong_codes=WRONG_CODES_PER_NUMBER,
        callback_url=callback_url,
        resend_after=json.dumps([f"{seconds}s" for seconds in pace.resend_s]),
    )


async def _responds(client: httpx.AsyncClient, url: str) -> bool:
    try:
        response = await client.get(url)
    except httpx.HTTPError:
        return False
    return response.status_code < 500 if "/sandbox/" in url else response.status_code == 200
