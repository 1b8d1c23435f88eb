"""A Cluster of three primaries, whose nodes can be stopped one by one. None has a replica unless it is given one."""

import contextlib
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from otp_service.runtime.dev import embedded_store

from ..conftest import READY_S, wait_until

_PARTS = ((0, 5460), (5461, 10922), (10923, 16383))


class Nodes:
    """The running Cluster. `url` names all nodes, as an operator would."""

    def __init__(self, servers: list[embedded_store.EmbeddedServer]) -> None:
        self.servers = servers
        self._hanging: list[embedded_store.EmbeddedServer] = []
        self.url = "redis+cluster://" + ",".join(server.url.partition("://")[2] for server in servers)
        self.raws: list[Any] = [
            redis.Redis.from_url(server.url.replace("redis+cluster", "redis")) for server in servers
        ]

    def form(self) -> None:
        """Join the nodes, a third of the slots on each, and wait until each calls the Cluster well."""
        for raw, (first, last) in zip(self.raws, _PARTS, strict=True):
            raw.config_set("cluster-require-full-coverage", "no")
            raw.config_set("appendfsync", "no")
            raw.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for other in self.raws[1:]:
            port, bus = (int(other.config_get(name)[name]) for name in ("port", "cluster-port"))
            self.raws[0].execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
        wait_until(lambda: all(map(_is_well, self.raws)), 60, "the Cluster of three")

    @contextlib.contextmanager
    def replica_of(self, index: int, directory: Path) -> Iterator["Replica"]:
        """A replica of a node that has everything."""
        made = Replica(directory)
        self.raws[index].config_set("repl-diskless-sync-delay", 0)
        try:
            port, bus = (int(made.raw.config_get(name)[name]) for name in ("port", "cluster-port"))
            self.raws[0].execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
            primary = self.raws[index].execute_command("CLUSTER", "MYID").decode()
            wait_until(lambda: _obeys(made.raw, "CLUSTER", "REPLICATE", primary), 60, "the acquaintance")
            wait_until(lambda: online(self.raws[index]) and _is_well(made.raw), 60, "the first copy")
            yield made
        finally:
            made.end()

    @contextlib.contextmanager
    def hanging(self, index: int) -> Iterator[None]:
        """One node takes connections and answers nothing."""
        self.servers[index].child.process.send_signal(signal.SIGSTOP)
        self._hanging.append(self.servers[index])
        try:
            yield
        finally:
            self.wake(index)

    def wake(self, index: int) -> None:
        """Let a hanging node go on."""
        self._hanging = [server for server in self._hanging if server is not self.servers[index]]
        self.servers[index].child.process.send_signal(signal.SIGCONT)

    def index_of(self, client: Any, key: str) -> int:
        """Which node holds the key."""
        port = client.get_node_from_key(key).port
        return [raw.connection_pool.connection_kwargs["port"] for raw in self.raws].index(port)

    def keys_on(self, client: Any, index: int, count: int) -> list[str]:
        """So many keys of different slots that a node holds."""
        every = (f"{{{number}}}" for number in range(999))
        return list(itertools.islice((key for key in every if self.index_of(client, key) == index), count))

    def notice_within(self, ms: int) -> None:
        """How soon nodes that do not hang call another one dead."""
        for raw, server in zip(self.raws, self.servers, strict=True):
            if server not in self._hanging:
                raw.config_set("cluster-node-timeout", ms)

    def take_over(self, key: str, index: int) -> None:
        """Give the slot of this key to a node, as all nodes see it that do not hang."""
        slot = self.raws[index].execute_command("CLUSTER", "KEYSLOT", key)
        name = self.raws[index].execute_command("CLUSTER", "MYID").decode()
        for raw, server in zip(self.raws, self.servers, strict=True):
            if server not in self._hanging:
                raw.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)

    def empty(self) -> None:
        """Forget everything."""
        for raw in self.raws:
            raw.flushall()


class Replica:
    """A node beside the three. `raw` is a plain client of it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._begin()

    def _begin(self) -> None:
        self.server = embedded_store.start_cluster(self._directory, log=self._directory.with_suffix(".log"))
        self.server.wait_ready(READY_S)
        self.raw: Any = redis.Redis.from_url(self.server.url.replace("redis+cluster", "redis"))

    def kill(self) -> None:
        """End it at once."""
        self.raw.close()
        self.server.child.kill()
        self.server.clean()

    def restart(self) -> None:
        """Begin again on its files, at another port."""
        self._begin()

    def end(self) -> None:
        """End it."""
        self.raw.close()
        self.server.stop()


def online(raw: Any) -> bool:
    """Whether a replica follows this node and has all that there was."""
    found = raw.info("replication")
    return bool(found["connected_slaves"] and found["slave0"]["state"] == "online")


def calls_failed(raw: Any) -> bool:
    """Whether this node calls another one failed."""
    return any("fail" in node["flags"].split(",") for node in raw.execute_command("CLUSTER NODES").values())


def _obeys(raw: Any, *command: str) -> bool:
    with contextlib.suppress(redis.ResponseError):
        raw.execute_command(*command)
        return True
    return False


def _is_well(raw: Any) -> bool:
    info = raw.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_slots_assigned"] == "16384")


@contextlib.contextmanager
def three(directory: Path) -> Iterator[Nodes]:
    """Start them, and end them."""
    servers = []
    try:
        for index in range(3):
            place = directory / str(index)
            servers.append(embedded_store.start_cluster(place, log=directory / f"{index}.log"))
        for server in servers:
            server.wait_ready(READY_S)
        nodes = Nodes(servers)
        nodes.form()
        yield nodes
    finally:
        for server in servers:
            server.stop()
