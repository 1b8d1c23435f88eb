"""One connection to the carrier under one deadline, for one thread.

httpx has no parameter for a deadline that covers a whole exchange, so the pool below it is made here.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpcore
import httpx

from ..connections import Connects, Deadline, connect, resolve_within


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection of one thread or greenlet to the carrier. `pool` is None where the network is replaced."""

    http: httpx.BaseTransport
    pool: httpcore.ConnectionPool | None
    deadline: Deadline

    def has_leftover(self) -> bool:
        """Whether more has come than the answer. h11 would take it for the answer to the next request."""
        if self.pool is None:
            return False
        try:
            return any(one._connection._h11_state.trailing_data[0] for one in self.pool.connections)  # type: ignore[attr-defined]
        except AttributeError:  # closed before it was open, or another httpcore: not to be used again
            return True

    def hang_up(self) -> None:
        """Close it; the next request opens a new one."""
        if self.pool is not None:
            self.pool.close()


class PoolTransport(httpx.HTTPTransport):
    """httpx's own, over a pool that knows the deadline; httpx has no parameter for it."""

    def __init__(self, pool: httpcore.ConnectionPool, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = pool


class Network(Connects, Protocol):
    """How names are resolved and connections opened."""

    def resolve(self, host: str, port: int, deadline: Deadline, timeout: float | None) -> Sequence[str]:
        """The host's addresses. Raises OSError, and httpcore.ConnectTimeout if it takes too long."""
        ...


class BlockingNetwork(httpcore.SyncBackend):
    """For threads."""

    def resolve(self, host: str, port: int, deadline: Deadline, timeout: float | None) -> Sequence[str]:
        """The host's addresses."""
        return resolve_within(lambda: addresses_of(host, port), deadline, timeout)


def new_pool(tls: ssl.SSLContext, deadline: Deadline, network: Network) -> httpcore.ConnectionPool:
    """A pool of one connection, every step of which ends at the deadline."""
    return httpcore.ConnectionPool(
        ssl_context=tls,
        max_connections=1,
        max_keepalive_connections=1,
        keepalive_expiry=30,
        retries=0,
        network_backend=_Backend(deadline, network),
    )


class _Backend(httpcore.NetworkBackend):
    """How httpcore reaches the carrier."""

    def __init__(self, deadline: Deadline, network: Network) -> None:
        self._deadline = deadline
        self._network = network

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers; the timeout is for the name and all of them.

        Raises httpcore's errors.
        """
        began_s = time.monotonic()
        try:
            addresses = self._network.resolve(host, port, self._deadline, timeout)
        except OSError as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        each_s = None if timeout is None else max(0.0, timeout - (time.monotonic() - began_s)) / len(addresses)
        return connect(
            self._network,
            addresses,
            port,
            self._deadline,
            each_s,
            local_address=local_address,
            socket_options=socket_options,
        )


def addresses_of(host: str, port: int) -> list[str]:
    """The host's addresses, in the resolver's order. Blocks, for as long as the system's resolver does."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
