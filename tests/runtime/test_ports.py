"""Ports that are kept: nothing listens there unless it is ours, and nobody else gets them."""

import socket

import pytest

from otp_service.runtime import ports


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
