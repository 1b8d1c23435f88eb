"""Connections to receivers: never into a private network, and each under one deadline.

The name is resolved once for each connection, every address it has is judged, and the connection goes to an address
that was judged and not to the name: what the name server says a moment later changes nothing (no DNS rebinding).
TLS and `Host` still name the host. One deadline covers connecting, the handshake, the request and the answer's head:
a receiver that sends one byte at a time gains nothing.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpcore

from ..connections import Deadline, connect, resolve_within
from ..domain.callback import Endpoint
from ..domain.receiver_url import is_public

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


def allowed(endpoint: Endpoint) -> Callable[[str], bool]:
    """Which addresses an endpoint may have."""
    return (lambda _: True) if endpoint.allow_private else is_public


def unreachable(endpoint: Endpoint, ask: Resolve) -> str | None:
    """What would stop a connection to the endpoint before it is tried; None if nothing."""
    parts = urlsplit(endpoint.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses(endpoint.host, port, ask, allowed(endpoint))
    except ForbiddenAddress:
        return f"{endpoint.host} leads into a private network"
    except OSError:
        return f"{endpoint.host} cannot be resolved"
    return None


def is_tls(error: BaseException) -> bool:
    """Whether TLS is what stopped a connection."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


class Backend(httpcore.NetworkBackend):
    """How httpcore reaches the network until the deadline, which may be moved between two requests."""

    def __init__(
        self,
        ask: Resolve,
        allowed: Callable[[str], bool],
        deadline: Deadline,
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
            find = partial(addresses, host, port, self._ask, self._allowed)
            found = resolve_within(find, self._deadline, timeout)
        except OSError as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        return connect(
            self._under,
            found,
            port,
            self._deadline,
            timeout,
            local_address=local_address,
            socket_options=socket_options,
        )

    def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """No receiver is a file."""
        raise httpcore.ConnectError("not a network address")
