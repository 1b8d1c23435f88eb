"""Connections to receivers that cannot be talked into a private network, and end when their time is over.

The name is resolved once for each connection, every address it has is judged, and the connection goes to an address
that was judged and not to the name: what the name server says a moment later changes nothing (no DNS rebinding).
TLS and `Host` still name the host. One deadline covers connecting, the handshake, the request and the answer's head:
a receiver that drips one byte at a time gains nothing.

The system's resolver has time limits of its own (some ten seconds by default), which no deadline of ours can shorten.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

Resolve = Callable[[str, int], Sequence[str]]
"""All addresses of a host; raises OSError."""

MOST_ADDRESSES = 4
"""Of a host with more only the first ones are tried; all of them are judged."""


class ForbiddenAddress(Exception):
    """The host has an address that nothing may be sent to."""


def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is too long
        raise OSError("a name that cannot be resolved") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def addresses(host: str, port: int, ask: Resolve, allowed: Callable[[str], bool]) -> list[str]:
    """The host's addresses, once each of them was found to be allowed. Raises ForbiddenAddress and OSError."""
    found = list(ask(host, port))
    if not found:
        raise OSError("the name has no address")
    if not all(allowed(address) for address in found):
        raise ForbiddenAddress
    return found[:MOST_ADDRESSES]


class Backend(httpcore.NetworkBackend):
    """How httpcore reaches the network for one request, until `deadline` (of the monotonic clock)."""

    def __init__(
        self,
        ask: Resolve,
        allowed: Callable[[str], bool],
        deadline: float,
        under: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._ask = ask
        self._allowed = allowed
        self._deadline = deadline
        self._under = under or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first judged address that answers. Raises ForbiddenAddress and httpcore's own."""
        try:
            found = addresses(host, port, self._ask, self._allowed)
        except OSError as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        failure: Exception = httpcore.ConnectError("no address")
        for address in found:
            try:
                stream = self._under.connect_tcp(
                    address,
                    port,
                    _left(self._deadline, timeout, httpcore.ConnectTimeout),
                    local_address,
                    socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Timed(stream, self._deadline)
        raise failure

    def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """No receiver is a file."""
        raise httpcore.ConnectError("not a network address")


class _Timed(httpcore.NetworkStream):
    """A stream on which every step ends at the deadline at the latest."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is."""
        return self._stream.read(max_bytes, _left(self._deadline, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._stream.write(buffer, _left(self._deadline, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Shake hands with the host by its name."""
        left = _left(self._deadline, timeout, httpcore.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What the socket knows."""
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the time is over")
    return left if timeout is None else min(left, timeout)
