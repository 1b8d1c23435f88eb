"""Connecting to a store as the service does, but to a Cluster only once."""

import functools
from typing import Any

from otp_service.storage.connect import connect
from otp_service.storage.store import Store

from .harness import StoreHarness


@functools.cache
def _clients_of(url: str) -> Store:
    return connect(url)


def connected(url: str) -> Store:
    """The store at a URL. The clients of a Cluster are made once: to learn its commands takes longer than most tests.

    What they know of a node that failed is forgotten.
    """
    if "+cluster" not in url:
        return connect(url)
    if any(client.get_default_node() is None for client in _both(_clients_of(url))):  # somebody has closed it
        _clients_of.cache_clear()
    known = _clients_of(url)
    for client in _both(known):
        client._node_breakers.clear()
    return Store(known.client, known.blocking, known.is_cluster)


def disconnect(harness: StoreHarness) -> None:
    """End its connections. A Cluster's client that is closed does not know its nodes any more: these stay usable."""
    if not harness.store.is_cluster:
        harness.close()
        return
    for client in _both(harness.store):
        for node in client.get_nodes():
            if node.redis_connection is not None:
                node.redis_connection.connection_pool.disconnect()


def _both(store: Store) -> list[Any]:
    return [store.client, store.blocking]
