"""TCP ports: whether this process can listen on one, free ones, and those that are kept."""

import contextlib
import errno
import itertools
import secrets
import socket
from pathlib import Path

from ..domain.errors import ServiceError

_GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""From which port on the system gives them to connections (Linux)."""

_LOWEST, _HIGHEST = 10_240, 22_767
"""A Cluster's node takes the port 10,000 above its own, too: that one lies before those of connections as well."""

_turns = itertools.count(secrets.randbelow(_HIGHEST - _LOWEST))


class PortTaken(ServiceError):
    """Another process listens on this port, or this process may not."""

    code = "port_taken"


def usable_address(host: str, port: int, option: str = "--port") -> tuple[str, int]:
    """The IP address and TCP port this process could listen on now; for port 0 a free one.

    Raises PortTaken with one sentence if it could not.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise PortTaken(f"{host!r} is not an address of this machine: {error.strerror}") from error
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Without it, connections of a server that has just ended would make the port look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise PortTaken(_port_sentence(host, port, option, error)) from error
        name = probe.getsockname()
        return str(name[0]), int(name[1])


def listen(host: str, port: int, backlog: int, option: str = "--port") -> socket.socket:
    """A socket that listens there; for port 0 on a free one. Raises PortTaken."""
    address = usable_address(host, port, option)
    listening = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        # Only this refuses a port that another process took a moment ago.
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise PortTaken(_port_sentence(host, port, option, error)) from error
    return listening


def _port_sentence(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken on {host} by another process; choose another with {option}"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges this user does not have; choose one above 1023 with {option}"
    return f"cannot listen on {host} port {port}: {error.strerror}"


def free_port() -> int:
    """A TCP port of the loopback that nothing listens on at this moment, and that the system gives to no connection.

    What it gives to whoever asks may be the own port of some connection by the time that a server wants it, or wants it
    again after its end. Each process begins to look at another place.
    """
    first = _first_given_away()
    for turn in itertools.islice(_turns, max(0, first - _LOWEST)):
        with contextlib.suppress(PortTaken):
            return usable_address("127.0.0.1", _LOWEST + turn % (first - _LOWEST))[1]
    return usable_address("127.0.0.1", 0)[1]


def _first_given_away() -> int:
    try:
        return min(_HIGHEST + 1, int(_GIVEN_AWAY.read_text(encoding="ascii").split()[0]))
    except (OSError, ValueError, IndexError):
        return _HIGHEST + 1


class HeldPort:
    """A TCP port of the loopback that is kept until `release`: the system gives it to nobody else.

    Connections to it are refused, unless a server of ours listens there meanwhile, by its number and with SO_REUSEADDR,
    as most servers do.
    """

    def __init__(self) -> None:
        self._held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.number = int(self._held.getsockname()[1])

    def release(self) -> None:
        """Let anybody have it."""
        self._held.close()
