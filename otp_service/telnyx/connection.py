"""One connection to the carrier under one deadline, for one thread.

httpx has no parameter for a deadline that covers a whole exchange, so the connection below it is made here.
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
from .http1 import Http1

KEPT_S = 30.0
"""How long a connection is kept that no request uses."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection of one thread or greenlet to the carrier. `kept` is None where the network is replaced."""

    http: httpx.BaseTransport
    kept: "KeptConnection | None"
    deadline: Deadline

    def has_leftover(self) -> bool:
        """Whether more has come than the answer: it would be taken for the answer to the next request."""
        return self.kept is not None and self.kept.has_leftover()

    def hang_up(self) -> None:
        """Close it; the next request opens a new one."""
        if self.kept is not None:
            self.kept.close()


class KeptConnection:
    """One connection to the carrier at a time. Stands where httpcore's pool stands, for one thread or greenlet.

    A pool looks through its connections and requests several times for each request, and takes locks.
    """

    def __init__(self, tls: ssl.SSLContext, backend: httpcore.NetworkBackend) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._backend = backend
        self._one: Http1 | None = None
        self._used_at = 0.0

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send it on the connection that is open, or on a new one. Raises httpcore's errors."""
        one, now = self._one, time.monotonic()
        if one is None or now - self._used_at > KEPT_S or not one.is_idle:
            self.close()
            one = self._one = Http1(self._open(request))
        self._used_at = now
        return one.handle_request(request)

    def _open(self, request: httpcore.Request) -> httpcore.NetworkStream:
        origin, timeout = request.url.origin, request.extensions["timeout"]["connect"]
        host = origin.host.decode("ascii")
        stream = self._backend.connect_tcp(host, origin.port, timeout)
        return stream if origin.scheme == b"http" else stream.start_tls(self._tls, host, timeout)

    def has_leftover(self) -> bool:
        """Whether more has come than the answer."""
        return self._one is not None and self._one.has_leftover

    def close(self) -> None:
        """Close the connection, if there is one."""
        one, self._one = self._one, None
        if one is not None:
            one.close()


class KeptTransport(httpx.HTTPTransport):
    """httpx's own, over a connection that knows the deadline; httpx has no parameter for it."""

    def __init__(self, kept: KeptConnection, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool: Any = kept


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


def new_connection(tls: ssl.SSLContext, deadline: Deadline, network: Network) -> KeptConnection:
    """A connection every step of which ends at the deadline. It is opened by the first request."""
    return KeptConnection(tls, _Backend(deadline, network))


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
