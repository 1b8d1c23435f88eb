"""In a Cluster writes wait for all replicas that follow, with no setting; one that is gone is done without."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service.domain.errors import StoreUnavailable
from otp_service.storage import replicas
from otp_service.storage.cluster_primaries import ask_primaries, may_do_without
from otp_service.storage.replica_guard import ReplicaGuard
from otp_service.storage.replicas import Replicas
from tests.conftest import wait_until
from tests.e2e.in_process import Commands

from .harness import StoreHarness, fresh_number
from .nodes import Nodes, Replica, calls_failed, online, three

pytestmark = pytest.mark.cluster
SOON_MS, LATE_MS = 2_000, 60_000


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """Three primaries."""
    with three(tmp_path / "three") as made:
        yield made


@pytest.fixture
def replica(nodes: Nodes, tmp_path: Path) -> Iterator[Replica]:
    """That of the first of them."""
    with nodes.replica_of(0, tmp_path / "replica") as made:
        yield made


class Service:
    """A process with the setting that a Cluster has by default."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.harness = StoreHarness.open(nodes.url)
        self.guard = self.harness.scripts.guard = ReplicaGuard()
        self.counting = Replicas(self.harness.store, self.harness.scripts, self.harness.keys, self.guard, None)
        self.counting.look()

    def number_on(self, index: int) -> str:
        """A number whose shard is on this node."""
        while True:
            number = fresh_number()
            shard = self.harness.keys.shard(self.harness.hash_of(number))
            if self.nodes.index_of(self.harness.raw, self.harness.keys.run(shard)) == index:
                return number

    def serves(self, index: int) -> bool:
        """Whether a start of a number of this node is accepted."""
        self.counting.look()
        try:
            self.harness.start(self.number_on(index))
        except StoreUnavailable:
            return False
        return True

    def waits_on(self, index: int) -> set[int]:
        """For how many replicas the writes of this node's shards wait."""
        runs = map(self.harness.keys.run, range(self.harness.keys.shards))
        return {self.guard.waits_for(run) for run in runs if self.nodes.index_of(self.harness.raw, run) == index}

    def waits_for_it(self) -> bool:
        """Whether writes of the first node wait for its replica."""
        return self.serves(0) and self.waits_on(0) == {1}


@pytest.fixture
def service(nodes: Nodes, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """It does without a replica as soon as the primaries confirm that nobody takes over."""
    monkeypatch.setattr(replicas, "GONE_S", 0.0)
    monkeypatch.setattr(replicas, "ASK_AGAIN_S", 0.1)
    monkeypatch.setenv("OTP_REDIS_URL", nodes.url)
    nodes.notice_within(LATE_MS)
    made = Service(nodes)
    try:
        wait_until(made.waits_for_it, 30, "a start that waits")
        yield made
    finally:
        made.harness.close()


def end_replica(nodes: Nodes, replica: Replica) -> None:
    """Kill it, and wait until its primary has noticed that it does not follow."""
    replica.kill()
    wait_until(lambda: not online(nodes.raws[0]), 30, "its end")


def test_a_replica_that_ends_costs_the_numbers_of_its_shards_only(
    nodes: Nodes, replica: Replica, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until it is back, an operator says that it is gone, or most primaries do: then nobody can take over."""
    commands = Commands(capsys)
    name = service.harness.keys.record(service.harness.start(service.number_on(0)).reference)
    replica.raw.execute_command("READONLY")
    assert replica.raw.exists(name)
    wait_until(lambda: service.serves(1), 30, "a start at another primary")
    assert service.waits_on(1) == {0}, "the others have none, and wait for none"

    run = str(nodes.raws[0].info("replication")["master_replid"])
    told = ask_primaries(service.harness.store)
    assert may_do_without(told, run, 1), "its only replica follows, by the address that all know"
    assert not may_do_without(told, run, 0)

    end_replica(nodes, replica)
    assert not service.serves(0)
    wait_until(lambda: service.serves(1), 30, "a start at another primary")
    assert (service.serves(0), 0 < service.guard.missing < service.harness.keys.shards) == (False, True)
    assert (0, 1) in [(one["follow"], one["needed"]) for one in commands.data("replicas", "list")]
    commands.shows("replicas", "lower")
    wait_until(lambda: service.serves(0), 30, "a start without it")

    replica.restart()
    wait_until(service.waits_for_it, 30, "its return")
    end_replica(nodes, replica)
    nodes.notice_within(SOON_MS)
    wait_until(lambda: all(map(calls_failed, nodes.raws)), 30, "that all primaries notice it")
    nodes.notice_within(LATE_MS)
    with nodes.hanging(1), nodes.hanging(2):
        assert not service.serves(0), "one of three primaries is no majority"
    wait_until(lambda: service.serves(0), 60, "a start without it")
    assert service.waits_on(0) == {0}
    assert service.guard.missing == 0
