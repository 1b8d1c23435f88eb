"""Connecting to a store as the service does, but to a Cluster only once."""

import functools
from typing import Any

from otp_service.storage.connect import connect
from otp_service.storage.store import Store


@functools.cache
def _clients_of(url: str) -> Store:
    return connect(url)


def connected(url: str) -> Store:
    """The store at a URL. The clients of a Cluster are made once: to learn its commands takes longer than most tests.

    What they know of a node that failed is forgotten; their connections are those of whoever closes the store last.
    """
    if "+cluster" not in url:
        return connect(url)
    known = _clients_of(url)
    clients: list[Any] = [known.client, known.blocking]
    for client in clients:
        client._node_breakers.clear()
    return Store(known.client, known.blocking, known.is_cluster)
