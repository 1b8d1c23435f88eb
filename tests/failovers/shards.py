"""A Cluster of three primaries with a replica each, and what can happen to one of its shards.

Each node has two relays: one to the port that callers and replicas use, and one to the port where the nodes talk.
"""

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from redis.exceptions import ResponseError

from otp_service.runtime import ports

from ..conftest import wait_until
from ..storage.servers import Server
from .relay import Relay, node_address
from .site import BETWEEN_S, LATE_S, PARTITION_S, WITHOUT_S

NODE_TIMEOUT_MS = 2_000
USUAL_FACTOR = "10"
AWAY_S = 4.0
"""A server that was killed is started again so long after the election."""

_SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))


class ClusterSite:
    """All nodes: three primaries, then the replica of each. The first primary is the one that fails over."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.servers: list[Server] = []
        self.relays: list[Relay] = []
        self.bus_relays: list[Relay] = []
        self.held: list[ports.HeldPort] = []
        self._settings: list[dict[str, str]] = []
        for number in range(6):
            self._add(number)
        self._form()
        wait_until(self._is_whole, 60, "the Cluster")

    @property
    def url(self) -> str:
        """Where a service finds its store."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{relay.port}" for relay in self.relays)

    def _add(self, number: int) -> None:
        port, bus_port = ports.HeldPort(), ports.HeldPort()
        self.held += (port, bus_port)
        relay, bus = Relay(port.number), Relay(bus_port.number)
        announced = {
            "cluster_announce_ip": "127.0.0.1",
            "cluster_announce_port": str(relay.port),
            "cluster_announce_bus_port": str(bus.port),
        }
        source = node_address(number)
        settings = {"port": str(port.number), "bind_source_addr": source, "appendonly": "yes", "repl_backlog_ttl": "0"}
        cluster = {
            "cluster_enabled": "yes",
            "cluster_port": str(bus_port.number),
            "cluster_require_full_coverage": "no",
        }
        timeout = {"cluster_node_timeout": str(NODE_TIMEOUT_MS), "cluster_replica_validity_factor": "0"}
        place = self._directory / f"files{number}"
        place.mkdir()
        self._settings.append({"dir": str(place), **settings, **cluster, **timeout, **announced})
        self.relays.append(relay)
        self.bus_relays.append(bus)
        self.servers.append(Server(self._directory / f"server{number}", **self._settings[number]))

    def _form(self) -> None:
        first = self.servers[0].client
        for server, (low, high) in zip(self.servers, _SLOTS, strict=False):
            server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", low, high)
        for relay, bus in zip(self.relays[1:], self.bus_relays[1:], strict=True):
            first.execute_command("CLUSTER", "MEET", "127.0.0.1", relay.port, bus.port)
        ids = [server.client.execute_command("CLUSTER", "MYID") for server in self.servers]
        for server, primary in zip(self.servers[3:], ids, strict=False):
            wait_until(partial(_follows, server, primary), 30, "a replica")

    def _is_whole(self) -> bool:
        infos = [server.client.execute_command("CLUSTER INFO") for server in self.servers]
        online = [server.client.info("replication")["connected_slaves"] for server in self.servers[:3]]
        return all(info["cluster_state"] == "ok" for info in infos) and online == [1, 1, 1]

    # ---- what happens ----------------------------------------------------------------------------------------------

    def planned(self) -> None:
        """An operator asks the replica to take over."""
        self.servers[3].client.execute_command("CLUSTER", "FAILOVER")
        self._took_over()

    def killed(self) -> None:
        """kill -9 of the primary, which comes back as a replica."""
        self.servers[0].kill()
        self._took_over()
        time.sleep(AWAY_S)
        self.servers[0] = Server(self._directory / "again", **self._settings[0])

    def killed_ahead(self) -> None:
        """kill -9 of the primary while the replica is behind."""
        self.relays[0].late_s = LATE_S
        time.sleep(2 * LATE_S)
        self.killed()

    def killed_twice(self) -> None:
        """kill -9 of the primary, and of the one that took over, before the first is back.

        The first comes back alone, and lacks what was accepted meanwhile; the second comes back later. The factor is
        Redis' own: with 0 the first takes over with what it has, and some of what was accepted is lost.
        """
        for server, settings in zip(self.servers, self._settings, strict=True):
            settings["cluster_replica_validity_factor"] = USUAL_FACTOR
            server.client.config_set("cluster-replica-validity-factor", USUAL_FACTOR)
        self.servers[0].kill()
        self._took_over()
        time.sleep(BETWEEN_S)
        self.servers[3].kill()
        self.servers[0] = Server(self._directory / "again0", **self._settings[0])
        time.sleep(BETWEEN_S + 3 * NODE_TIMEOUT_MS / 1000)
        self.servers[3] = Server(self._directory / "again3", **self._settings[3])
        wait_until(self._is_served, 60, "the shard")

    def _is_served(self) -> bool:
        """Whether the shard has a primary and a replica that follows it."""
        found = [self.servers[number].client.info("replication") for number in (0, 3)]
        return any(one["role"] == "master" and one["connected_slaves"] == 1 for one in found)

    def replica_killed(self) -> None:
        """kill -9 of the replica, which stays away for a while."""
        self.servers[3].kill()
        time.sleep(WITHOUT_S)
        self.servers[3] = Server(self._directory / "again", **self._settings[3])

    def cut_off(self) -> None:
        """The primary reaches no other node for a while, and none reaches it, but callers reach all of them."""
        self._isolate(frozenset({node_address(0)}), closed=True)
        self._took_over()
        time.sleep(PARTITION_S)
        self._isolate(frozenset(), closed=False)

    def _isolate(self, cut: frozenset[str], *, closed: bool) -> None:
        for relay in (*self.relays[1:], *self.bus_relays[1:]):
            relay.cut = cut
        for relay in (self.relays[0], self.bus_relays[0]):
            (relay.closed.set if closed else relay.closed.clear)()

    def _took_over(self) -> None:
        wait_until(lambda: self.servers[3].client.info("replication")["role"] == "master", 60, "the election")

    def end(self) -> None:
        """End all of them."""
        for server in self.servers:
            server.kill()
        for relay in (*self.relays, *self.bus_relays):
            relay.end()
        for port in self.held:
            port.release()


def _follows(server: Server, primary: str) -> bool:
    """Whether it is a replica of this node by now; before it knows the node it cannot be."""
    with contextlib.suppress(ResponseError):
        server.client.execute_command("CLUSTER", "REPLICATE", primary)
        return True
    return False


@contextlib.contextmanager
def cluster_site(directory: Path) -> Iterator[ClusterSite]:
    """For one failover."""
    made = ClusterSite.__new__(ClusterSite)
    made.servers, made.relays, made.bus_relays, made.held = [], [], [], []
    try:
        ClusterSite.__init__(made, directory)
        yield made
    finally:
        made.end()
