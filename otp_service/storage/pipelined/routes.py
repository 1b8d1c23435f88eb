"""Which server a command goes to: the only one, the primary that Sentinel names, or the node of a Cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, cast

from redis.connection import SSLConnection
from redis.sentinel import SentinelConnectionPool

from ..cluster import GuardedCluster
from .link import Link
from .servers import Address, Login
from .spare import SpareLinks


class Routes(Protocol):
    """Finds the link for a command."""

    def link(self, key: str, node: Any) -> Link:
        """The link to the node if one is named, otherwise to the server that holds the key. Raises redis' errors."""
        ...

    def spare(self, key: str) -> SpareLinks:
        """Links to the server that holds the key, for commands that wait. Raises redis' errors."""
        ...

    def refresh(self) -> None:
        """Something was not where it was looked for."""
        ...

    def close(self) -> None:
        """End all links."""
        ...


class OneServer:
    """A server with an address of its own, or one that Sentinel watches."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Any) -> None:
        pool = client.connection_pool
        login = Login.of(pool.connection_kwargs, tls=issubclass(pool.connection_class, SSLConnection))
        self._link = Link(loop, _finder(pool), login, checks_role=True)
        self._spare = SpareLinks(lambda: Link(loop, _finder(pool), login, checks_role=True))

    def link(self, _key: str, _node: Any) -> Link:
        """The one link."""
        return self._link

    def spare(self, _key: str) -> SpareLinks:
        """Those to the same server."""
        return self._spare

    def refresh(self) -> None:
        """Nothing to do: the link looks the address up whenever it connects."""

    def close(self) -> None:
        """End the links."""
        self._link.close()
        self._spare.close()


def _finder(pool: Any) -> Callable[[], Awaitable[Address]]:
    if isinstance(pool, SentinelConnectionPool):

        async def ask_sentinels() -> Address:
            loop = asyncio.get_running_loop()
            return cast("Address", await loop.run_in_executor(None, pool.get_master_address))

        return ask_sentinels
    options = pool.connection_kwargs

    async def configured() -> Address:
        path = options.get("path")
        return path if path is not None else (options.get("host", "localhost"), int(options.get("port", 6379)))

    return configured


class ClusterNodes:
    """The nodes of a Cluster; redis-py's client knows which holds a key."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: GuardedCluster) -> None:
        self._loop = loop
        self._cluster = cluster
        options: Any = cluster.get_connection_kwargs()  # type: ignore[no-untyped-call]
        self._login = Login.of(options, tls=bool(options.get("ssl")))
        self._links: dict[str, Link] = {}
        self._spares: dict[str, SpareLinks] = {}

    def link(self, key: str, node: Any) -> Link:
        """The link to the node, or to the one that holds the key. Raises SlotNotCoveredError."""
        node = node or self._cluster.get_node_from_key(key)
        link = self._links.get(node.name)
        if link is None:
            link = self._links[node.name] = self._link_to(node)
        return link

    def _link_to(self, node: Any) -> Link:
        return Link(self._loop, _at(node.host, node.port), self._login, checks_role=False)

    def spare(self, key: str) -> SpareLinks:
        """Those to the node that holds the key. Raises SlotNotCoveredError."""
        node: Any = self._cluster.get_node_from_key(key)
        found = self._spares.get(node.name)
        if found is None:
            found = self._spares[node.name] = SpareLinks(partial(self._link_to, node))
        return found

    def refresh(self) -> None:
        """Look the topology up again, in the background."""
        self._cluster.look_up_again()

    def close(self) -> None:
        """End all links."""
        for link in self._links.values():
            link.close()
        for spare in self._spares.values():
            spare.close()


def _at(host: str, port: int) -> Callable[[], Awaitable[Address]]:
    async def address() -> Address:
        return host, port

    return address


def routes_of(loop: asyncio.AbstractEventLoop, client: Any) -> Routes:
    """The routes of the store that redis-py's client is connected to."""
    return ClusterNodes(loop, client) if isinstance(client, GuardedCluster) else OneServer(loop, client)
