"""Ports that are found free stay free for whoever found them."""

import socket
from pathlib import Path

from otp_service.runtime import ports


def test_a_free_port_is_given_to_no_connection() -> None:
    """Each is another one, can be listened on, and lies where the system takes none from for connections."""
    found = [ports.free_port() for _ in range(50)]
    assert len(set(found)) == len(found)
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not [port for port in found if first <= port <= last]
    with socket.create_server(("127.0.0.1", found[0])) as listening:
        assert listening.getsockname()[1] == found[0]
