"""A store on a real server and on a one-node cluster; every test that takes `harness` runs on both."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.cluster import RedisCluster

from otp_service.storage import connect, store_runs

from ..patience import patience
from .about import Began
from .connected import connected, disconnect
from .delivery_service import Service
from .harness import StoreHarness
from .restarts import Machine


@contextmanager
def opened(url: str) -> Iterator[StoreHarness]:
    """All stores over a server, with consumer groups made."""
    made = StoreHarness.open(connected(url))
    made.outbox.open()
    try:
        yield made
    finally:
        disconnect(made)


@pytest.fixture(autouse=True)
def _begins() -> None:
    """See `about`. No test before has left its patience."""
    Began.at = time.monotonic()
    assert connect.TIMEOUT_S < 1.0, "an earlier test has restored what it had set after `patient` was over"


@pytest.fixture
def patient() -> Iterator[None]:
    """A store that works has all the time it needs."""
    with patience():
        yield


@pytest.fixture
def redis_server(redis_server: redis.Redis, patient: None) -> redis.Redis:
    """As for all tests: nobody breaks that server, so everybody waits for it."""
    return redis_server


@pytest.fixture
def cluster_server(cluster_server: RedisCluster, patient: None) -> RedisCluster:
    """The same of the Cluster."""
    return cluster_server


@pytest.fixture(params=["server", pytest.param("cluster", marks=pytest.mark.cluster)])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a real store, empty; each kind in turn."""
    kind = request.param
    request.getfixturevalue(f"{'redis' if kind == 'server' else 'cluster'}_server")
    return str(request.getfixturevalue(f"{'redis' if kind == 'server' else 'cluster'}_url"))


@pytest.fixture
def harness(store_url: str) -> Iterator[StoreHarness]:
    """All stores over it, with consumer groups made."""
    with opened(store_url) as made:
        yield made


@pytest.fixture
def server_harness(redis_server: object, redis_url: str) -> Iterator[StoreHarness]:
    """The same on the single server only, for what does not depend on the kind."""
    with opened(redis_url) as made:
        yield made


@pytest.fixture
def service(server_harness: StoreHarness) -> Service:
    """A service on the single server; breakers' scripts run on a cluster in `test_circuits`."""
    return Service(server_harness)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: None) -> Iterator[Machine]:
    """A store of its own. Processes vote at once, and who is slow is waited for."""
    monkeypatch.setattr(store_runs, "JUDGE_MS", 0)
    monkeypatch.setattr(store_runs, "GIVE_UP_MS", 60_000)
    made = Machine(tmp_path)
    yield made
    made.end()
