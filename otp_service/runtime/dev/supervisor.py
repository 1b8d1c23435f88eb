"""The processes of `otp-service dev`: started in order, watched, stopped in the reverse order.

The order: the embedded store (or a given one), the sandbox carrier, the API, the worker. If the API or the worker ends
while everything serves, it is started again: both may be killed at any moment and lose nothing. Everything stops if
one of them ends again and again, if the store or the sandbox ends (whose phones are in its memory), or if anything ends
before all serve. Then the error shows the last output of that child.
"""

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

import otp_service

from ... import config
from ...config import Settings, dev_environment
from ...domain.errors import ConfigError
from ...files import write_private
from .. import processes
from ..processes import Child, ChildFailed
from . import embedded_store
from .logs import LogFollower
from .ready import probe
from .state import HOST, State
from .welcome import print_welcome

START_TIMEOUT_S = 30.0
DRAIN_TIMEOUT_S = 6.0
SANDBOX_TIMEOUT_S = 1.0
POLL_S = 0.05
API_OPTIONS = ("--workers", "1", "--threads", "4", "--drain", "0s", "--metrics-port", "0")

MAX_RESTARTS, RESTARTS_WITHIN_S = 10, 60.0
"""So many restarts within so many seconds; the next end of a child stops everything."""


class Stopped(Exception):
    """A signal asked for the end during the start. Not an error."""


class Supervisor:
    """Starts the children, watches them, stops them."""

    def __init__(
        self, state: State, environ: dict[str, str], stop: threading.Event, lock: int, *, verbose: bool
    ) -> None:
        self._state = state
        self._environ = environ
        self._stop = stop
        self._lock = lock
        self._store: embedded_store.EmbeddedServer | None = None
        self._sandbox: Child | None = None
        self._service: list[Child] = []
        self._service_commands: list[tuple[str, ...]] = []
        self._restarts: list[float] = []
        self._serving = False
        self._follower = LogFollower(state.logs) if verbose else None

    def run(self, redis_url: str | None, api_port: int, sandbox_port: int) -> None:
        """Start everything and stay until asked to stop. Raises ChildFailed if a child ends by itself."""
        url, sandbox_url = f"http://{HOST}:{api_port}", f"http://{HOST}:{sandbox_port}"
        settings = self._settings(redis_url)
        app = _app(settings)
        # The sandbox needs no store, so both start at once.
        self._sandbox = self._command(
            "sandbox", "sandbox", "--port", str(sandbox_port), "--webhook-url", f"{url}/webhooks/telnyx"
        )
        if self._store is not None:
            self._store.wait_ready()
        self._service_commands = [
            ("API", "serve", "--port", str(api_port), *API_OPTIONS),
            ("worker", "worker", "--processes", "1"),
        ]
        self._service = [self._command(*command) for command in self._service_commands]
        key = self._api_key(settings, app)
        self._await(f"{sandbox_url}/sandbox/journal")
        self._await(f"{url}/readyz")
        self._write_env(url, sandbox_url, key)
        print_welcome(self._state, url, sandbox_url, app, settings)
        self._serving = True
        while not self._stop.wait(POLL_S):
            self._check_children()

    def _settings(self, redis_url: str | None) -> Settings:
        # The configuration is read before anything starts, so that its errors are the only output.
        settings = config.load(self._environ | {"OTP_REDIS_URL": redis_url or "unix:///not-yet"})
        config.load_keyring(settings)
        if redis_url is not None:
            self._environ["OTP_REDIS_URL"] = redis_url
            return settings
        self._store = embedded_store.start(self._state.store, self._state.logs / "store.log", [self._lock])
        self._environ["OTP_REDIS_URL"] = self._store.url
        return config.load(self._environ)

    def _command(self, name: str, *arguments: str) -> Child:
        # Not from the current directory (-P): a user's file named redis.py must not become our library.
        package = str(Path(otp_service.__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [package, self._environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-m", "otp_service", *arguments]
        log = self._state.logs / f"{name.lower()}.log"
        return processes.spawn(
            name, command, environ=self._environ | {"PYTHONPATH": path}, log=log, keep_open=[self._lock]
        )

    def _api_key(self, settings: Settings, app: str) -> str:
        """The key of the last run in this directory if it is still valid, else a new one with every scope."""
        from ...bootstrap import open_keyring, open_stores  # noqa: PLC0415 - while the children start, not before
        from ...storage.api_keys import SCOPES  # noqa: PLC0415

        keys = open_stores(settings, open_keyring(settings)).api_keys
        kept = self._state.secrets
        principal = keys.authenticate(kept.get("api_key", ""))
        if principal is not None and principal.app == app and principal.scopes == set(SCOPES):
            return kept["api_key"]
        key = keys.create(app, SCOPES, None).key
        self._state.remember({**kept, "api_key": key})
        return key

    def _await(self, url: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (state := probe(url))[0]:
            self._check_children()
            if self._stop.wait(POLL_S):
                raise Stopped
            if time.monotonic() >= deadline:
                raise ChildFailed(f"{url} was not ready within {START_TIMEOUT_S:.0f} s: {state[1]}")

    def _check_children(self) -> None:
        if self._follower is not None:
            self._follower.copy()
        store = [self._store.child] if self._store is not None else []
        sandbox = [self._sandbox] if self._sandbox is not None else []
        for child in [*store, *sandbox]:
            if child.ended() and not self._stop.is_set():
                raise self._failure(child)
        for index, child in enumerate(self._service):
            if child.ended() and not self._stop.is_set():
                self._service[index] = self._restart(child, self._service_commands[index])

    def _failure(self, child: Child) -> ChildFailed:
        return ChildFailed(f"{child.end_report()}\n(logs: {self._state.logs})")

    def _restart(self, child: Child, command: tuple[str, ...]) -> Child:
        now = time.monotonic()
        self._restarts = [at for at in self._restarts if now - at < RESTARTS_WITHIN_S]
        if not self._serving or len(self._restarts) >= MAX_RESTARTS:
            raise self._failure(child)
        self._restarts.append(now)
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.write(f"{child.end_report().splitlines()[0].rstrip(':')}; it is started again\n")
            sys.stderr.flush()
        child.kill()  # whatever is left of its process group; it would hold the port
        return self._command(*command)

    def _write_env(self, url: str, sandbox_url: str, key: str) -> None:
        values = {"OTP_URL": url, "OTP_API_KEY": key, "SANDBOX_URL": sandbox_url}
        # With these, commands in another shell (keys, doctor, a second worker) use this service too.
        values |= {name: self._environ[name] for name in dev_environment.SHARED}
        write_private(self._state.env, dev_environment.write_lines(values))

    def stop_all(self) -> None:
        """Stop what was started: first the processes that take new work, the store last. Never raises."""
        self._state.env.unlink(missing_ok=True)
        processes.stop(self._service, DRAIN_TIMEOUT_S)
        if self._sandbox is not None:
            processes.stop([self._sandbox], SANDBOX_TIMEOUT_S)
        if self._store is not None:
            self._store.stop()
        if self._follower is not None:
            self._follower.copy()


def _app(settings: Settings) -> str:
    apps = settings.policy.apps
    if not apps:
        raise ConfigError(f"{settings.config_path}: apps: there is none; add [apps.default] with a brand and a route")
    return "default" if "default" in apps else next(iter(apps))
