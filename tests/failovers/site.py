"""A primary with two replicas, three sentinels, and what can happen to them."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from ..conftest import wait_until
from ..storage.servers import Server
from .relay import SENTINELS, SERVERS, Relay

SERVICE = "main"
LATE_S = 0.7
PARTITION_S = 12.0
SETTINGS = {"bind_source_addr": SERVERS, "appendonly": "yes", "repl_backlog_ttl": "0"}
BETWEEN_S = 3.0
WITHOUT_S = 10.0
"""A replica that was killed is away for so long: longer than anybody waits for it."""


class Site:
    """All of them. The first server is the primary at the beginning."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.servers: list[Server] = []
        self.relays: list[Relay] = []
        self.sentinels: list[Server] = []
        for number in range(3):
            self._add_server(directory / f"server{number}")
        for replica in self.servers[1:]:
            replica.client.replicaof("127.0.0.1", str(self.relays[0].port))
        wait_until(lambda: self._online() == 2, 30, "two replicas")
        for number in range(3):
            self._add_sentinel(directory / f"sentinel{number}")
        wait_until(self._are_acquainted, 60, "the sentinels' acquaintance")

    @property
    def url(self) -> str:
        """Where a service finds its store."""
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels) + f"/{SERVICE}"

    def _add_server(self, directory: Path) -> None:
        # The relay has to know the server's port, and the server the relay's.
        server = Server(directory, **SETTINGS)
        relay = Relay(server.port)
        server.client.config_set("replica-announce-ip", "127.0.0.1")
        server.client.config_set("replica-announce-port", relay.port)
        self.servers.append(server)
        self.relays.append(relay)

    def _add_sentinel(self, directory: Path) -> None:
        announced = {"sentinel announce-ip": "127.0.0.1"}
        sentinel = Server(directory, "--sentinel", bind_source_addr=SENTINELS, **announced)
        sentinel.client.execute_command("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", self.relays[0].port, 2)
        settings = ("down-after-milliseconds", 1000, "failover-timeout", 3000)
        sentinel.client.execute_command("SENTINEL", "SET", SERVICE, *settings)
        self.sentinels.append(sentinel)

    def _online(self) -> int:
        found = self.servers[0].client.info("replication")
        followers = [found[f"slave{number}"] for number in range(found["connected_slaves"])]
        return sum(follower["state"] == "online" for follower in followers)

    def _are_acquainted(self) -> bool:
        known = [one.client.sentinel_masters()[SERVICE] for one in self.sentinels]
        return all((one["num-other-sentinels"], one["num-slaves"]) == (2, 2) for one in known)

    def _has_failed_over(self) -> bool:
        known = [one.client.sentinel_masters()[SERVICE]["port"] for one in self.sentinels]
        return all(port != self.relays[0].port for port in known)

    # ---- what happens ----------------------------------------------------------------------------------------------

    def planned(self) -> None:
        """An operator asks for it."""
        self.sentinels[0].client.execute_command("SENTINEL", "FAILOVER", SERVICE)
        self.failed_over()

    def killed(self) -> None:
        """kill -9 of the primary."""
        self.servers[0].kill()
        self.failed_over()

    def killed_ahead(self) -> None:
        """kill -9 of the primary while the replicas are behind."""
        self.relays[0].late_s = LATE_S
        time.sleep(2 * LATE_S)
        self.killed()

    def killed_twice(self) -> None:
        """kill -9 of the primary, and of the one that took over, before the first is back. The second comes back."""
        self.killed()
        second = self._primary()
        # What is accepted meanwhile is on the second and the third server only.
        time.sleep(BETWEEN_S)
        self.servers[second].kill(returns=True)
        wait_until(lambda: self._primary() not in (0, second), 60, "the second failover")
        # The last server has no replica, and takes nothing.
        time.sleep(BETWEEN_S)
        self.servers[second] = self._add_again(second)
        last = self.servers[self._primary()]
        wait_until(lambda: last.client.info("replication")["connected_slaves"] == 1, 60, "a replica of the last")

    def _primary(self) -> int:
        """The server that most sentinels name."""
        named = [one.client.sentinel_masters()[SERVICE]["port"] for one in self.sentinels]
        port = max(named, key=named.count)
        return next(number for number, relay in enumerate(self.relays) if relay.port == port)

    def _add_again(self, number: int) -> Server:
        """The server that was killed, on its own files."""
        own = self._directory / f"server{number}"
        place = {"dir": str(own), "port": str(self.servers[number].port)}
        announced = {"replica_announce_ip": "127.0.0.1", "replica_announce_port": str(self.relays[number].port)}
        return Server(self._directory / f"again{number}", **SETTINGS, **place, **announced)

    def replica_killed(self) -> None:
        """kill -9 of a replica."""
        self.servers[2].kill()
        time.sleep(WITHOUT_S)

    def cut_off(self) -> None:
        """The primary reaches no server and no sentinel for a while, but callers reach it."""
        self.relays[0].closed.set()
        self.failed_over()
        time.sleep(PARTITION_S)
        self.relays[0].closed.clear()

    def failed_over(self) -> None:
        """Wait until all sentinels name another primary."""
        wait_until(self._has_failed_over, 60, "the failover")

    def end(self) -> None:
        """End all of them."""
        for server in (*self.sentinels, *self.servers):
            server.kill()
        for relay in self.relays:
            relay.end()


@contextlib.contextmanager
def site(directory: Path) -> Iterator[Site]:
    """For one failover."""
    made = Site.__new__(Site)
    made.servers, made.relays, made.sentinels = [], [], []
    try:
        Site.__init__(made, directory)
        yield made
    finally:
        made.end()
