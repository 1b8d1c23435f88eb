"""Ports that are found free, or are kept, stay free for whoever found them."""

import socket
from pathlib import Path

import pytest

from otp_service.runtime import ports


def test_a_free_port_is_given_to_no_connection() -> None:
    """Each is another one, can be listened on, and lies where the system takes none from for connections."""
    found = [ports.free_port() for _ in range(50)]
    assert len(set(found)) == len(found)
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not [port for port in found if first <= port <= last]
    with socket.create_server(("127.0.0.1", found[0])) as listening:
        assert listening.getsockname()[1] == found[0]


def test_a_held_port_refuses_until_a_server_of_ours_listens_there() -> None:
    """And again when that has ended."""
    held = ports.HeldPort()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", held.number))
        with ports.listen("127.0.0.1", held.number, 1) as server:
            socket.create_connection(("127.0.0.1", held.number)).close()
            server.accept()[0].close()
    held.release()


def test_a_held_port_is_given_to_nobody_else() -> None:
    """Though servers that ask for any port say that they share one that was used."""
    held = ports.HeldPort()
    others = [ports.HeldPort() for _ in range(200)]
    assert held.number not in {other.number for other in others}
    with socket.socket() as server, pytest.raises(OSError, match="in use"):
        server.bind(("127.0.0.1", held.number))
    for port in (held, *others):
        port.release()
