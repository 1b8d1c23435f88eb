"""`otp-service dev`: everything on one machine, for the first look, for integrating and for tests.

One supervisor and its children, started in this order and stopped in the reverse: the embedded store (or a given
one), the sandbox carrier, the API, the worker. Guaranteed here:

* `DIR/env` exists as long as everything serves; it is written whole, readable by this user only. If the supervisor
  is killed, the worker removes it.
* SIGINT, SIGTERM: exit 0 within ten seconds and no process left. If the supervisor is killed, the kernel ends them.
* If the API or the worker dies while everything serves, it is started again: both may be killed at any moment and
  lose nothing. If it dies again and again, or if the store or the sandbox dies (whose phones live in its memory), or
  anything before it ever served, everything stops, and the sentence shows what the child said last.
* Two of them never share a directory, not even for the moment in which a killed one's children are still ending.

The carrier is always the sandbox and the keyring always the directory's own: what production's variables say about
either is not used here. Not here: what the processes do (`serving`, `bootstrap`, `sandbox`).
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ... import config, devenv, keyring
from ...clock import clock_ms, rfc3339
from ...config import Settings
from ...domain.errors import ConfigError, ServiceError
from .. import processes
from ..processes import Child, ChildFailed
from . import embedded_store

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0
DRAIN_TIMEOUT_S = 6.0
SANDBOX_TIMEOUT_S = 1.0
_LOCK_TIMEOUT_S = 3.0
_POLL_S = 0.05
_API_THREADS = 4


class Stopped(Exception):
    """Somebody asked us to end while we were starting. Not an error."""


class DirectoryTaken(ServiceError):
    """The directory belongs to another `otp-service dev`, or to something else altogether."""

    code = "directory_taken"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Port 0 takes a free one; `directory` None is one that is removed at the end."""

    port: int
    sandbox_port: int
    directory: Path | None
    redis_url: str | None
    verbose: bool


def run(options: Options) -> None:
    """Serve until a signal. Returns after a clean end; raises ServiceError with one clear sentence otherwise."""
    stop = processes.stop_on_signals()
    os.umask(0o077)
    _, api_port = processes.usable_address(HOST, options.port, "--port")
    _, sandbox_port = processes.usable_address(HOST, options.sandbox_port, "--sandbox-port")
    if api_port == sandbox_port:
        raise ConfigError(f"--port and --sandbox-port are both {api_port}; choose another for one of them")
    with _own_directory(_kept_directory(options)) as (directory, lock), contextlib.suppress(Stopped):
        state = State(directory)
        environ = state.environ(config.environment(find=False), api_port, sandbox_port)
        supervisor = Supervisor(state, environ, stop, lock, verbose=options.verbose)
        try:
            supervisor.run(options.redis_url, api_port, sandbox_port)
        finally:
            supervisor.stop_all()


def _kept_directory(options: Options) -> Path | None:
    """The directory that is kept: with a store of somebody else's also the default one.

    What is in that store stays, and without the keyring it would be of no use.
    """
    if options.directory is None and options.redis_url is not None:
        return Path(devenv.DIRECTORY)
    return options.directory


class State:
    """The files of one directory: what must be the same after a restart, where things are, and `env`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.store = directory / "store"
        self.metrics = directory / "metrics"
        self.keyring = directory / "keyring.json"
        self.env = directory / devenv.FILE
        self._toml = directory / config.DEFAULT_FILE
        self._secrets_path = directory / "secrets.json"
        self.env.unlink(missing_ok=True)
        # Counters of processes that are no more would be added up with ours.
        shutil.rmtree(self.metrics, ignore_errors=True)
        for path in (self.logs, self.metrics):
            embedded_store.private_directory(path)
        if not self.keyring.exists():
            write_private(self.keyring, keyring.create(secrets.token_bytes, rfc3339(clock_ms())))
        self.secrets = self._read_secrets()

    def _read_secrets(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._secrets_path.read_bytes())
        except FileNotFoundError:
            seed = base64.b64encode(secrets.token_bytes(32)).decode()
            found = {"carrier_key": "KEY" + secrets.token_hex(24), "signing_seed": seed}
        except ValueError as error:
            raise ConfigError(f"{self._secrets_path} is damaged; remove it to have a new one made") from error
        self.remember(found)
        return found

    def remember(self, values: dict[str, str]) -> None:
        """Keep the secrets for the next run in this directory."""
        self.secrets = values
        write_private(self._secrets_path, json.dumps(values, indent=2).encode() + b"\n")

    def environ(self, given: Mapping[str, str], api_port: int, sandbox_port: int) -> dict[str, str]:
        """The children's environment, without the store's address. Writes the configuration if there is none."""
        kept = {name: value for name, value in given.items() if name not in _REPLACED}
        kept["OTP_CONFIG"] = str(Path(kept["OTP_CONFIG"]).absolute() if kept.get("OTP_CONFIG") else self._config_path())
        url = f"http://{HOST}:{api_port}"
        return kept | {
            "OTP_KEYRING": str(self.keyring),
            "OTP_METRICS_DIR": str(self.metrics),
            "OTP_PUBLIC_URL": url,
            "TELNYX_BASE_URL": f"http://{HOST}:{sandbox_port}/v2",
            "TELNYX_API_KEY": self.secrets["carrier_key"],
            "TELNYX_PUBLIC_KEY": _public_key(self.secrets["signing_seed"]),
            "TELNYX_WEBHOOK_SIGNING_SEED": self.secrets["signing_seed"],
            processes.LEFTOVER_VARIABLE: str(self.env),
        }

    def _config_path(self) -> Path:
        here = Path.cwd() / config.DEFAULT_FILE
        if here.is_file():
            return here
        if not self._toml.exists():
            self._toml.write_text(config.DEV_TOML, encoding="utf-8")
        return self._toml


_REPLACED = frozenset(
    f"{name}{suffix}"
    for name in ("OTP_REDIS_URL", "TELNYX_API_KEY", "TELNYX_PUBLIC_KEY", "TELNYX_WEBHOOK_SIGNING_SEED")
    for suffix in ("", "_FILE")
)


MAX_RESTARTS, RESTARTS_WITHIN_S = 10, 60.0
"""How often, and in how many seconds, children that die are started again before everything stops."""


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
            ("API", "serve", "--port", str(api_port), "--workers", "1", "--threads", str(_API_THREADS)),
            ("worker", "worker"),
        ]
        self._service = [self._command(*command) for command in self._service_commands]
        key = self._api_key(settings, app)
        self._await(f"{sandbox_url}/sandbox/journal")
        self._await(f"{url}/readyz")
        self._write_env(url, sandbox_url, key)
        _welcome(self._state, url, sandbox_url, app, settings)
        self._serving = True
        while not self._stop.wait(_POLL_S):
            self._look_after()

    def _settings(self, redis_url: str | None) -> Settings:
        # The configuration is read before anything starts, so that its errors are the only thing said.
        settings = config.load(self._environ | {"OTP_REDIS_URL": redis_url or "unix:///not-yet"})
        config.load_keyring(settings)
        if redis_url is not None:
            self._environ["OTP_REDIS_URL"] = redis_url
            return settings
        self._store = embedded_store.start(self._state.store, self._state.logs / "store.log", [self._lock])
        self._environ["OTP_REDIS_URL"] = self._store.url
        return config.load(self._environ)

    def _command(self, name: str, *arguments: str) -> Child:
        # Not from the current directory (-P): a file of the user's named redis.py must not become our library.
        package = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [package, self._environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-m", "otp_service", *arguments]
        log = self._state.logs / f"{name.lower()}.log"
        return processes.spawn(
            name, command, environ=self._environ | {"PYTHONPATH": path}, log=log, keep_open=[self._lock]
        )

    def _api_key(self, settings: Settings, app: str) -> str:
        """The key of the last run in this directory if it still holds, else a new one with every scope."""
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
        while not (answer := _get(url))[0]:
            self._look_after()
            if self._stop.wait(_POLL_S):
                raise Stopped
            if time.monotonic() >= deadline:
                raise ChildFailed(f"{url} was not ready within {START_TIMEOUT_S:.0f} s: {answer[1]}")

    def _look_after(self) -> None:
        if self._follower is not None:
            self._follower.copy()
        store = [self._store.child] if self._store is not None else []
        sandbox = [self._sandbox] if self._sandbox is not None else []
        for child in [*store, *sandbox]:
            if child.ended() and not self._stop.is_set():
                raise self._failure(child)
        for index, child in enumerate(self._service):
            if child.ended() and not self._stop.is_set():
                self._service[index] = self._start_again(child, self._service_commands[index])

    def _failure(self, child: Child) -> ChildFailed:
        return ChildFailed(f"{child.obituary()}\n(logs: {self._state.logs})")

    def _start_again(self, child: Child, command: tuple[str, ...]) -> Child:
        now = time.monotonic()
        self._restarts = [at for at in self._restarts if now - at < RESTARTS_WITHIN_S]
        if not self._serving or len(self._restarts) >= MAX_RESTARTS:
            raise self._failure(child)
        self._restarts.append(now)
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.write(f"{child.obituary().splitlines()[0].rstrip(':')}; it is started again\n")
            sys.stderr.flush()
        child.kill()  # whatever is left of its process group; it would hold the port
        return self._command(*command)

    def _write_env(self, url: str, sandbox_url: str, key: str) -> None:
        values = {"OTP_URL": url, "OTP_API_KEY": key, "SANDBOX_URL": sandbox_url}
        # With these another shell's commands (keys, doctor, a second worker) speak for this service, too.
        values |= {name: self._environ[name] for name in devenv.SHARED}
        write_private(self._state.env, devenv.write_lines(values))

    def stop_all(self) -> None:
        """Stop what was started: first who takes new work, last who keeps it. Never raises."""
        self._state.env.unlink(missing_ok=True)
        processes.stop(self._service, DRAIN_TIMEOUT_S)
        if self._sandbox is not None:
            processes.stop([self._sandbox], SANDBOX_TIMEOUT_S)
        if self._store is not None:
            self._store.stop()
        if self._follower is not None:
            self._follower.copy()


class LogFollower:
    """Copies what is new in the log files to stderr."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._positions = {path: path.stat().st_size for path in directory.glob("*.log")}

    def copy(self) -> None:
        """Copy what has been written since the last time."""
        for path in sorted(self._directory.glob("*.log")):
            with path.open("rb") as file:
                file.seek(self._positions.get(path, 0))
                for line in file.read().decode(errors="replace").splitlines():
                    sys.stderr.write(f"{path.stem}: {line}\n")
                self._positions[path] = file.tell()
        sys.stderr.flush()


def write_private(path: Path, content: bytes) -> None:
    """Write the file whole or not at all, readable by this user only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextlib.contextmanager
def _own_directory(given: Path | None) -> Iterator[tuple[Path, int]]:
    """Yield the directory and the descriptor of its lock.

    One that was not named is removed at the end, but for when a child failed: then the logs are still of use.
    """
    directory = (given or Path(devenv.DIRECTORY)).absolute()
    try:
        if given is None:
            _refuse_foreign(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DirectoryTaken(f"cannot use {directory}: {error.strerror}") from error
    keep = given is not None
    try:
        _take(lock, directory)
        if not keep:
            _empty(directory)
        yield directory, lock
    except (ChildFailed, DirectoryTaken):
        keep = True
        raise
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _refuse_foreign(directory: Path) -> None:
    # We are going to empty it, so it has to be new, empty or ours.
    if directory.exists() and any(directory.iterdir()) and not (directory / "lock").exists():
        raise DirectoryTaken(f"{directory} holds other files; move them away or name a directory with --dir")


def _take(lock: int, directory: Path) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
            # Children hold the lock too: those of a supervisor that was killed are given the time to end.
            if _running(owner) or time.monotonic() >= deadline:
                sentence = f"another otp-service dev (process {owner}) runs in {directory}; choose another with --dir"
                raise DirectoryTaken(sentence) from None
            time.sleep(_POLL_S)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _running(pid: str) -> bool:
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _empty(directory: Path) -> None:
    # What a run that was killed left behind.
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "lock":
            path.unlink(missing_ok=True)


def _app(settings: Settings) -> str:
    apps = settings.policy.apps
    if not apps:
        raise ConfigError(f"{settings.config_path}: apps: there is none; add [apps.default] with a brand and a route")
    return "default" if "default" in apps else next(iter(apps))


def _public_key(seed: str) -> str:
    from nacl.signing import SigningKey  # noqa: PLC0415 - this command only

    return base64.b64encode(bytes(SigningKey(base64.b64decode(seed)).verify_key)).decode()


def _get(url: str) -> tuple[bool, str]:
    try:
        # Not through a proxy that the environment may name: it is our own loopback.
        with _OPENER.open(url, timeout=2) as response:
            return response.status == 200, ""
    except urllib.error.HTTPError as error:
        with error:
            return False, error.read(2000).decode(errors="replace")
    except OSError as error:
        return False, str(error)


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _welcome(state: State, url: str, sandbox_url: str, app: str, settings: Settings) -> None:
    env = shlex.quote(str(state.env))
    number = "+12025550143"
    start = """'{"to": "%s"}'""" % number  # noqa: UP031 - braces of JSON
    lines = [
        "otp-service dev is running; Ctrl-C ends it.",
        "",
        f"  API          {url}  (reference: {url}/docs)",
        f"  Phones       {sandbox_url}  (every SMS arrives here; reply to it, too)",
        f"  Environment  {state.env}  (the API key, all scopes of the app {app!r})",
        f"  Logs         {state.logs}",
    ]
    if app != "default":
        lines.append(f"  (no app 'default' in {settings.config_path}, so the key belongs to its first app)")
    lines += [
        "",
        "Try it in another terminal, then look at the phones:",
        "",
        f'  . {env}; curl -sS "$OTP_URL/verify/start" -H "Authorization: Bearer $OTP_API_KEY" \\',
        f"    -H 'Content-Type: application/json' -d {start}",
        "",
    ]
    _say("\n".join(lines))


def _say(text: str) -> None:
    # A reader that has gone away (a closed pipe) is no reason to stop serving.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
