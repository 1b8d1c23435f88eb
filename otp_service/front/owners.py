"""Whose a request is, where shares are given: an app's if it names a key of it that is known, else an address's."""

from collections.abc import Callable, Iterable

from ..domain.addresses import end_user

AppOf = Callable[[str], str | None]
"""The app of the key in an Authorization header, if that is known without asking the store."""


def owner_of(headers: Iterable[tuple[bytes, bytes]], peer: str, app_of: AppOf) -> str:
    """The owner's name. Names of headers in lower case."""
    for name, value in headers:
        if name == b"authorization":
            app = app_of(value.decode("latin-1"))
            return f"address {peer}" if app is None else f"app {app}"
    return f"address {peer}"


def peer_network(address: str) -> str:
    """What counts as one address: of IPv6 a /64."""
    try:
        return end_user(address)
    except ValueError:
        return address
