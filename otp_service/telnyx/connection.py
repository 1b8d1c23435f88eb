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
from .body_requests import Prepared
from .http1 import Http1, Reply, Spans

KEPT_S = 30.0
"""How long a connection is kept that no request uses."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection of one thread or greenlet to the carrier: `kept`, or `http` where the network is replaced."""

    http: httpx.BaseTransport | None
    kept: "KeptConnection | None"
    deadline: Deadline

    def ask(self, request: Prepared, spans: Spans) -> "Reply | httpx.Response":
        """Send it, and read the head of the response. Raises errors of httpx and httpcore."""
        if self.kept is not None:
            return self.kept.ask(request, spans)
        assert self.http is not None
        seconds = {"connect": spans.connect_s, "read": spans.read_s, "write": spans.write_s, "pool": spans.connect_s}
        return self.http.handle_request(request.as_httpx(seconds))

    def close(self) -> None:
        """Its end, with all that it has opened."""
        for one in (self.http, self.kept):
            if one is not None:
                one.close()

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

    def ask(self, request: Prepared, spans: Spans) -> Reply:
        """Send it on the connection that is open, or on a new one. Raises httpcore's errors."""
        one, now = self._one, time.monotonic()
        if one is None or now - self._used_at > KEPT_S or not one.is_idle:
            self.close()
            one = self._one = Http1(self._open(request.url, spans.connect_s))
        self._used_at = now
        return one.ask(request.head + request.body, spans)

    def _open(self, url: httpx.URL, timeout: float) -> httpcore.NetworkStream:
        secure = url.scheme == "https"
        host = url.raw_host.decode("ascii")
        stream = self._backend.connect_tcp(host, url.port or (443 if secure else 80), timeout)
        return stream.start_tls(self._tls, host, timeout) if secure else stream

    def has_leftover(self) -> bool:
        """Whether more has come than the answer."""
        return self._one is not None and self._one.has_leftover

    def close(self) -> None:
        """Close the connection, if there is one."""
        one, self._one = self._one, None
        if one is not None:
            one.close()


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
