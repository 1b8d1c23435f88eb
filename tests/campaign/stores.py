"""The three kinds of store: one server, a primary with two replicas and three sentinels, a Cluster of three shards.

All servers run on loopback with the settings that `deploy/` ships. Behind Sentinel and in a Cluster the service has a
user of its own. So a server can be cut off from the other servers and still be reached by the service: a partition.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import redis

from otp_service.files import private_directory
from otp_service.runtime import ports, processes
from otp_service.runtime.dev import embedded_store
from otp_service.runtime.processes import Child

READY_TIMEOUT_S = 90.0
USER = "service"
DOWN_AFTER_MS = 1_000
FAILOVER_TIMEOUT_MS = 3_000
NODE_TIMEOUT_MS = 2_000
_SHARDS = ((0, 5460), (5461, 10922), (10923, 16383))


class Store:
    """Servers by name. `names` are in the order of their start; `url` is for OTP_REDIS_URL."""

    kind = "server"
    names: Sequence[str] = ("store",)

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""

    def start(self, name: str) -> Child:
        """Start one server on its own files. Raises ValueError if its address would change."""
        server = embedded_store.start(self.directory / name, log=self.directory / f"{name}.log")
        if self.url not in ("", server.url):
            raise ValueError(f"the store's address must not change; use a shorter path than {self.directory}")
        self.url = server.url
        return server.child

    def form(self) -> None:
        """Wait until all servers respond, and make one store of them. Raises TimeoutError."""
        _wait_until(lambda: bool(self.primaries()), "the store's first response")

    @property
    def data(self) -> Sequence[str]:
        """The servers that hold data."""
        return self.names

    def client(self, _name: str) -> Any:
        """A client of this one server. To be closed by the caller."""
        return _client(redis.Redis.from_url, self.url)

    def ask(self, name: str, *command: Any) -> Any:
        """One command to one server; None if it does not respond or refuses."""
        with contextlib.closing(self.client(name)) as client:
            return _answer(lambda: client.execute_command(*command), None)

    def primaries(self) -> list[str]:
        """The servers that respond as primaries now."""
        return [name for name in self.data if (self.ask(name, "ROLE") or [""])[0] == "master"]

    def begin_failover(self, _primary: str) -> bool:
        """Begin a planned failover from this primary to a replica. Whether it began."""
        return False

    def isolate(self, name: str) -> None:
        """Cut a server off from the other servers. The service still reaches it."""

    def rejoin(self, name: str) -> None:
        """End the isolation."""

    def replica_of(self, _primary: str) -> str:
        """A replica of a primary; empty if there is none."""
        return ""

    def slots_of(self, _primary: str) -> Sequence[tuple[int, int]]:
        """The slots that a node of a Cluster serves: the first and the last of each range."""
        return ()

    def is_whole(self) -> bool:
        """Whether every server responds and plays its part."""
        return bool(self.primaries())


class _Servers(Store):
    """Several servers on ports of their own."""

    sentinels: Sequence[str] = ()

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.ports = {name: ports.free_port() for name in self.names}
        self._password = secrets.token_hex(16)

    @property
    def data(self) -> Sequence[str]:
        return [name for name in self.names if name not in self.sentinels]

    def start(self, name: str) -> Child:
        place = self.directory / name
        private_directory(place)
        config = place / "server.conf"
        if not config.exists():  # later it holds what the server itself has written: whom it follows
            config.write_text("\n".join(self._lines(name, place)) + "\n", encoding="utf-8")
        sentinel = ("--sentinel",) if name in self.sentinels else ()
        command = [str(embedded_store.find_binary()), str(config), *sentinel]
        environ = {**os.environ, "LC_ALL": "C"}
        return processes.spawn(name, command, environ=environ, log=self.directory / f"{name}.log", directory=place)

    def client(self, name: str) -> Any:
        credentials = {} if name in self.sentinels else {"username": USER, "password": self._password}
        return _client(redis.Redis, port=self.ports[name], **credentials)

    def isolate(self, name: str) -> None:
        """Cut a server off from the other servers. The service still reaches it."""
        self.ask(name, "ACL", "SETUSER", "default", "off")
        self.ask(name, "CLIENT", "KILL", "USER", "default")

    def rejoin(self, name: str) -> None:
        """End the isolation."""
        self.ask(name, "ACL", "SETUSER", "default", "on")

    def _followers(self, primary: str) -> int:
        with contextlib.closing(self.client(primary)) as client:
            return int(_answer(lambda: client.info("replication")["connected_slaves"], 0))

    def _lines(self, name: str, place: Path) -> Iterator[str]:
        yield from (f"port {self.ports[name]}", "bind 127.0.0.1", f"dir {place}")
        if name in self.data:
            yield from (f"{key} {value}" for key, value in embedded_store.SETTINGS.items())
            yield "repl-diskless-sync-delay 0"
            yield f"user {USER} on >{self._password} ~* &* +@all"
            yield "user default on nopass ~* &* +@all"

    def _hosts(self, names: Sequence[str]) -> str:
        return f"{USER}:{self._password}@" + ",".join(f"127.0.0.1:{self.ports[name]}" for name in names)


class SentinelStore(_Servers):
    """A primary, two replicas and three sentinels that call it `main`."""

    kind = "sentinel"
    sentinels = ("sentinel1", "sentinel2", "sentinel3")
    names = ("server1", "server2", "server3", *sentinels)

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = f"redis+sentinel://{self._hosts(self.sentinels)}/main"

    def form(self) -> None:
        _wait_until(self.is_whole, "the acquaintance of primary, replicas and sentinels")

    def is_whole(self) -> bool:
        """One primary that all sentinels name, with two replicas that follow it."""
        primaries = self.primaries()
        named = {str(self.ask(name, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")) for name in self.sentinels}
        if len(primaries) != 1 or len(named) != 1 or str(self.ports[primaries[0]]) not in named.pop():
            return False
        return self._followers(primaries[0]) == 2 and all(map(self._knows_all, self.sentinels))

    def _knows_all(self, sentinel: str) -> bool:
        with contextlib.closing(self.client(sentinel)) as client:
            known = _answer(lambda: client.sentinel_masters()["main"], {})
        return (known.get("num-other-sentinels"), known.get("num-slaves")) == (2, 2)

    def begin_failover(self, _primary: str) -> bool:
        return any(self.ask(name, "SENTINEL", "FAILOVER", "main") is not None for name in self.sentinels)

    def _lines(self, name: str, place: Path) -> Iterator[str]:
        yield from super()._lines(name, place)
        first = self.ports["server1"]
        if name in ("server2", "server3"):
            yield f"replicaof 127.0.0.1 {first}"
        elif name in self.sentinels:
            yield f"sentinel monitor main 127.0.0.1 {first} 2"
            yield f"sentinel down-after-milliseconds main {DOWN_AFTER_MS}"
            yield f"sentinel failover-timeout main {FAILOVER_TIMEOUT_MS}"


class ClusterStore(_Servers):
    """Three primaries with one replica each."""

    kind = "cluster"
    names = tuple(f"server{number}" for number in range(1, 7))

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._bus = {name: ports.free_port() for name in self.names}
        self.url = f"redis+cluster://{self._hosts(self.data)}"

    def form(self) -> None:
        _wait_until(lambda: all(self.ask(name, "PING") for name in self.data), "the nodes' first response")
        for name, (first, last) in zip(self.data, _SHARDS, strict=False):
            self.ask(name, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for name in self.data[1:]:
            self.ask(self.data[0], "CLUSTER", "MEET", "127.0.0.1", self.ports[name], self._bus[name])
        ids = [self.ask(name, "CLUSTER", "MYID") for name in self.data]
        for name, primary in zip(self.data[3:], ids, strict=False):
            _wait_until(partial(self.ask, name, "CLUSTER", "REPLICATE", primary), "a replica")
        _wait_until(self.is_whole, "the Cluster")

    def is_whole(self) -> bool:
        """Three primaries with all slots, each with a replica that follows it."""
        primaries = self.primaries()
        well = all("cluster_state:ok" in _text(self.ask(name, "CLUSTER", "INFO")) for name in self.data)
        return well and len(primaries) == len(_SHARDS) and all(self._followers(name) >= 1 for name in primaries)

    def replica_of(self, primary: str) -> str:
        port = self.ports[primary]
        roles = {name: self.ask(name, "ROLE") for name in self.data if name != primary}
        return next((name for name, role in roles.items() if role and role[0] == "slave" and role[2] == port), "")

    def slots_of(self, primary: str) -> Sequence[tuple[int, int]]:
        served = self.ask(primary, "CLUSTER", "SLOTS") or []
        return [(first, last) for first, last, node, *_ in served if node[1] == self.ports[primary]]

    def begin_failover(self, primary: str) -> bool:
        replica = self.replica_of(primary)
        return bool(replica and self.ask(replica, "CLUSTER", "FAILOVER"))

    def _lines(self, name: str, place: Path) -> Iterator[str]:
        yield from super()._lines(name, place)
        yield from ("cluster-enabled yes", f"cluster-port {self._bus[name]}", "cluster-announce-ip 127.0.0.1")
        yield from (f"cluster-node-timeout {NODE_TIMEOUT_MS}", "cluster-require-full-coverage no")


KINDS: Mapping[str, type[Store]] = {one.kind: one for one in (Store, SentinelStore, ClusterStore)}


def _client(make: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return make(*args, decode_responses=True, socket_timeout=1, socket_connect_timeout=1, **options)


def _answer(ask: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return ask()
    except redis.RedisError:
        return otherwise


def _text(reply: Any) -> str:
    """`CLUSTER INFO` as lines, also where the client has read it already."""
    return "\n".join(f"{name}:{value}" for name, value in reply.items()) if isinstance(reply, dict) else str(reply)


def _wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {READY_TIMEOUT_S:.0f} s")
        time.sleep(0.1)
