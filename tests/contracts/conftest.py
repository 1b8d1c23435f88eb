"""One suite for each port with a store behind it: it runs on the fake, on a real server and on a one-node cluster."""

from collections.abc import Iterator

import pytest

from ..patience import be_patient
from ..storage.connected import connected, disconnect
from ..storage.harness import StoreHarness, fresh_number
from .memory import MemoryHarness


@pytest.fixture(params=["fake", "server", pytest.param("cluster", marks=pytest.mark.cluster)])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreHarness | None]:
    """The stores over an empty server, or None where the suite runs on the fake."""
    if request.param == "fake":
        yield None
        return
    kind = "redis" if request.param == "server" else "cluster"
    if kind == "redis":
        be_patient(monkeypatch)  # a Cluster's client is made once, for tests of time-outs, too
    request.getfixturevalue(f"{kind}_server")
    made = StoreHarness.open(connected(request.getfixturevalue(f"{kind}_url")))
    try:
        yield made
    finally:
        disconnect(made)


@pytest.fixture
def stores(real: StoreHarness | None) -> StoreHarness:
    """The stores of verifications and deliveries, empty: over that server, or in memory."""
    if real is None:
        return MemoryHarness()
    real.outbox.open()
    return real


@pytest.fixture
def number() -> str:
    """A number that no other test uses."""
    return fresh_number()
