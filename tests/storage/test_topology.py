"""A Cluster whose slots move or have no node: looked up again in the background, while other slots are served."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import redis

from otp_service.runtime.dev import embedded_store
from otp_service.storage import connect, servers_state
from otp_service.storage.answering import STORE_ERRORS
from otp_service.storage.cluster import LOOK_UP_PAUSE_S
from otp_service.storage.store import Store
from tests.conftest import READY_S, wait_until

KEY, OTHER = "{a}", "{b}"
CALLERS, HELD_UP_S = 160, 8.0
"""Four at a time: redis-py alone sleeps for a quarter of a second in each call, 10 s in all."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Any]:
    """A plain client of the only node of a Cluster of our own."""
    server = embedded_store.start_cluster(tmp_path / "node", log=tmp_path / "log")
    try:
        server.wait_ready(READY_S)
        server.form_cluster(READY_S)
        with redis.Redis.from_url(server.url.replace("redis+cluster://", "redis://")) as raw:
            yield raw
    finally:
        server.stop()


@pytest.fixture
def store(node: Any) -> Iterator[Store]:
    """The service's connections to it."""
    opened = connect.connect(f"redis+cluster://127.0.0.1:{node.connection_pool.connection_kwargs['port']}")
    try:
        yield opened
    finally:
        opened.close()


def writes(store: Store, key: str) -> bool:
    """Whether a write is taken."""
    try:
        return bool(store.client.set(key, "1"))
    except STORE_ERRORS:
        return False


@pytest.mark.usefixtures("patient")
def test_a_slot_without_a_node_is_found_again(node: Any, store: Store) -> None:
    """Also if a look-up saw it uncovered: the next request that misses it looks again."""
    cluster: Any = store.client
    node.config_set("cluster-require-full-coverage", "no")
    slot = cluster.keyslot(KEY)
    assert writes(store, KEY)
    node.execute_command("CLUSTER", "DELSLOTS", slot)
    wait_until(lambda: not writes(store, KEY) and not cluster.nodes_manager.slots_cache.get(slot), 30, "a look-up")
    assert writes(store, OTHER), "other slots are served"
    assert servers_state.faults(store) == [f"1 of 16384 slots have no living primary: {slot}."]
    node.execute_command("CLUSTER", "ADDSLOTS", slot)
    wait_until(lambda: writes(store, KEY), 30, "a write after the slot is back")
    assert servers_state.faults(store) == []
    assert servers_state.describe(store) == "all slots are served; primaries: 1"


def test_nobody_waits_in_line_for_a_cluster_that_is_down(node: Any, store: Store) -> None:
    """A Cluster that wants full coverage and has lost a slot refuses everything, and at once."""
    assert writes(store, KEY)
    node.execute_command("CLUSTER", "DELSLOTS", store.client.keyslot(OTHER))  # type: ignore[attr-defined]
    wait_until(lambda: not writes(store, KEY), 30, "the refusal")
    began = monotonic()
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: writes(store, KEY), range(CALLERS)))
    assert not any(taken)
    assert monotonic() - began < HELD_UP_S
    node.execute_command("CLUSTER", "ADDSLOTS", store.client.keyslot(OTHER))  # type: ignore[attr-defined]
    wait_until(lambda: writes(store, KEY), 30, "a write after the Cluster is whole again")


@pytest.mark.usefixtures("patient")
def test_looking_slots_up_costs_the_living_nodes_nothing(node: Any, store: Store) -> None:
    """However many requests fail: a look-up in a while, and no connection to a node that is well is closed for it."""
    cluster: Any = store.client

    def look_ups() -> int:
        return int(node.info("commandstats").get("cmdstat_cluster|slots", {"calls": 0})["calls"])

    assert writes(store, KEY)
    connections, before, began = node.info("stats")["total_connections_received"], look_ups(), monotonic()
    for _ in range(200):
        cluster.nodes_manager.initialize()
        assert writes(store, KEY)
    wait_until(lambda: look_ups() > before, 30, "a look-up")
    assert look_ups() - before <= 2 + (monotonic() - began) / LOOK_UP_PAUSE_S
    # One more at most: the look-up itself may need one while another request uses the first.
    assert node.info("stats")["total_connections_received"] - connections <= 1
