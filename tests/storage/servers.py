"""Servers to fail over: a primary with replicas, sentinels that watch it, and an address that is moved."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from otp_service.runtime import ports
from otp_service.runtime.dev import embedded_store
from tests.conftest import wait_until


class Server:
    """One server on a loopback port. `client` is a plain client of just this one."""

    def __init__(self, directory: Path, mode: str = "", **settings: str) -> None:
        self._held = None if "port" in settings else ports.HeldPort()
        self.port = int(settings["port"]) if self._held is None else self._held.number
        directory.mkdir()
        config = directory / "server.conf"
        lines = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(directory), **settings}
        if not mode:
            lines["repl-diskless-sync-delay"] = "0"
        config.write_text("".join(f"{name.replace('_', '-')} {value}\n" for name, value in lines.items()))
        command = [str(embedded_store.find_binary()), str(config), *([mode] if mode else [])]
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "LC_ALL": "C"})
        self.client: Any = redis.Redis(
            port=self.port, decode_responses=True, socket_timeout=1, password=settings.get("requirepass")
        )
        wait_until(self._answers, 60, "a server's first answer")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def follow(self, primary: "Server") -> None:
        """Become the replica of another one, and wait for the first copy."""
        self.client.replicaof("127.0.0.1", str(primary.port))
        wait_until(lambda: self.client.info("replication")["master_link_status"] == "up", 60, "the first copy")

    def promote(self) -> None:
        """Become a primary."""
        self.client.replicaof("NO", "ONE")

    def hang(self) -> None:
        """Stop answering; connections stay open."""
        self.process.send_signal(signal.SIGSTOP)
        # On a busy machine it may answer once more before the signal reaches it.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """Answer again."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self, *, returns: bool = False) -> None:
        """End at once, also while it hangs. `returns`: another one is to listen on its port."""
        self.client.close()
        self.process.kill()
        self.process.wait()
        if self._held is not None and not returns:
            self._held.release()


class Address:
    """A stable address: connections go to the server that it names when they are made, and stay there."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = True
        # A close alone would not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(inner,), daemon=True).start()

    def _forward(self, inner: socket.socket) -> None:
        with contextlib.suppress(OSError), inner, socket.create_connection(("127.0.0.1", self.server.port)) as outer:
            ends = {inner: outer, outer: inner}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)


@contextlib.contextmanager
def pair(directory: Path) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica."""
    with contextlib.ExitStack() as stack:
        servers = []
        for name in ("first", "second"):
            servers.append(Server(directory / name))
            stack.callback(servers[-1].kill)
        servers[1].follow(servers[0])
        yield servers[0], servers[1]


@contextlib.contextmanager
def watched(directory: Path) -> Iterator[tuple[Server, Server, list[Server]]]:
    """A primary, its replica and three sentinels that call it `main` and fail over after a second."""
    with pair(directory) as (first, second), contextlib.ExitStack() as stack:
        sentinels = []
        for number in range(3):
            sentinels.append(Server(directory / f"sentinel{number}", "--sentinel"))
            stack.callback(sentinels[-1].kill)
            client = sentinels[-1].client
            client.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", first.port, 2)
            client.execute_command("SENTINEL", "SET", "main", "down-after-milliseconds", 1000, "failover-timeout", 3000)
        wait_until(lambda: all(_knows_all(sentinel) for sentinel in sentinels), 60, "the sentinels' acquaintance")
        yield first, second, sentinels


def _knows_all(sentinel: Server) -> bool:
    known = sentinel.client.sentinel_masters()["main"]
    return bool((known["num-other-sentinels"], known["num-slaves"]) == (2, 1))
