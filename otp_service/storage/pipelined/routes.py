"""Which server a command goes to: the only one, the primary that Sentinel names, or the node of a Cluster."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from redis.connection import SSLConnection

from ..cluster import GuardedCluster
from ..primary import SentinelPrimaryPool
from .confirmed import ConfirmedLinks
from .link import Link
from .servers import Address, Login

F = TypeVar("F", Link, ConfirmedLinks)


class Routes(Protocol):
    """Finds the link for a command."""

    def link(self, key: str, node: Any) -> Link:
        """The link to the node if one is named, otherwise to the server that holds the key. Raises redis' errors."""
        ...

    def confirmed(self, key: str) -> ConfirmedLinks:
        """The links to the server that holds the key, for commands that wait for its replicas. Raises redis' errors."""
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
        new_link = partial(Link, loop, _finder(pool), login, checks_role=True)
        self._link = new_link()
        self._confirmed = ConfirmedLinks(loop, new_link)
        self._loop = loop
        self._leave = pool.sentinels.follow(self._moved) if isinstance(pool, SentinelPrimaryPool) else lambda: None

    def link(self, _key: str, _node: Any) -> Link:
        """The one link."""
        return self._link

    def confirmed(self, _key: str) -> ConfirmedLinks:
        """Those of the one server."""
        return self._confirmed

    def refresh(self) -> None:
        """Nothing to do: the link looks the address up whenever it connects."""

    def close(self) -> None:
        """End the links."""
        self._leave()
        self._link.close()
        self._confirmed.close()

    def _moved(self) -> None:
        """Called in a thread of the sentinels."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._link.look_again)
            self._loop.call_soon_threadsafe(self._confirmed.look_again)


def _finder(pool: Any) -> Callable[[], Awaitable[Address]]:
    if isinstance(pool, SentinelPrimaryPool):

        async def ask_sentinels() -> Address:
            loop = asyncio.get_running_loop()
            return cast("Address", await loop.run_in_executor(None, pool.sentinels.discover_master))

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
        self._confirmed: dict[str, ConfirmedLinks] = {}

    def link(self, key: str, node: Any) -> Link:
        """The link to the node, or to the one that holds the key. Raises SlotNotCoveredError."""
        node = node or self._cluster.get_node_from_key(key)
        link = self._links.get(node.name)
        if link is None:
            link = self._links[node.name] = self._new_link(node)()
        return self._found(link)

    def confirmed(self, key: str) -> ConfirmedLinks:
        """Those to the node that holds the key. Raises SlotNotCoveredError."""
        node: Any = self._cluster.get_node_from_key(key)
        links = self._confirmed.get(node.name)
        if links is None:
            links = self._confirmed[node.name] = ConfirmedLinks(self._loop, self._new_link(node))
        return self._found(links)

    def _found(self, found: F) -> F:
        if found.refuses:
            # The node may be dead for good, and another one have its slots by now.
            self.refresh()
        return found

    def _new_link(self, node: Any) -> Callable[[], Link]:
        return partial(Link, self._loop, _at(node.host, node.port), self._login, checks_role=False)

    def refresh(self) -> None:
        """Look the topology up again, in the background."""
        self._cluster.look_up_again()

    def close(self) -> None:
        """End all links."""
        for link in self._links.values():
            link.close()
        for links in self._confirmed.values():
            links.close()


def _at(host: str, port: int) -> Callable[[], Awaitable[Address]]:
    async def address() -> Address:
        return host, port

    return address


def routes_of(loop: asyncio.AbstractEventLoop, client: Any) -> Routes:
    """The routes of the store that redis-py's client is connected to."""
    return ClusterNodes(loop, client) if isinstance(client, GuardedCluster) else OneServer(loop, client)
