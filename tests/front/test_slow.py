"""Slow senders, idle connections and endless headers: none of them holds up anybody else."""

import asyncio
import socket
import time

import pytest

from otp_service.front.receiving import Receiving
from otp_service.web.http import MAX_BODY

from .conftest import DEADLINE_S, Running, read_response
from .test_protocol import HEALTH, status_of

TOLERANCE_S = 1.5


def ends_within(connection: socket.socket, seconds: float) -> bytes:
    """What comes until the server closes the connection; a failure if it does not in this time."""
    connection.settimeout(seconds)
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"POST /verify/check HTTP/1.1\r\nHost: otp.test\r\nContent-Le",
        b"POST /verify/check HTTP/1.1\r\nHost: otp.test\r\nContent-Length: 100\r\n\r\n{",
        b"POST /receipts/redeem HTTP/1.1\r\nHost: otp.test\r\nContent-Length: 100\r\n\r\n{",
        b"POST /verify/check HTTP/1.1\r\nHost: otp.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["nothing", "one byte", "half a head", "half a body", "half a body for Flask", "chunks"],
)
def test_half_a_request_is_given_up(front: Running, sent: bytes) -> None:
    """At its deadline; and meanwhile others are answered."""
    with front.connect() as slow, front.connect() as other:
        slow.sendall(sent)
        other.sendall(HEALTH)
        assert status_of(read_response(other)) == 200
        ends_within(slow, DEADLINE_S + TOLERANCE_S)


def test_bytes_in_between_give_no_more_time(front: Running) -> None:
    """A byte now and then does not keep a request alive."""
    began = time.monotonic()
    with front.connect() as slow:
        try:
            for byte in b"POST /verify/check HTTP/1.1\r\nX-Slow: " + b"x" * 1000:
                slow.sendall(bytes([byte]))
                time.sleep(0.05)
                assert time.monotonic() - began < DEADLINE_S + TOLERANCE_S
        except OSError:
            return
    pytest.fail("the connection was not closed")


def test_an_idle_connection_that_was_used_is_kept(front: Running) -> None:
    """Longer than a request may take to arrive."""
    with front.connect() as connection:
        connection.sendall(HEALTH)
        assert status_of(read_response(connection)) == 200
        time.sleep(DEADLINE_S + 0.7)
        connection.sendall(HEALTH)
        assert status_of(read_response(connection)) == 200


def test_headers_without_end(front: Running) -> None:
    """431, and the connection is closed."""
    with front.connect() as connection:
        data = b""
        try:
            connection.sendall(b"GET /healthz HTTP/1.1\r\n")
            for number in range(400):
                connection.sendall(b"X-%d: " % number + b"x" * 1000 + b"\r\n")
            data = ends_within(connection, 5)
        except OSError:
            pass
        assert not data or status_of(data) == 431


def test_a_body_without_end(front: Running) -> None:
    """A chunked body that never stops is read no further than the limit."""
    with front.connect() as connection:
        connection.sendall(b"POST /receipts/redeem HTTP/1.1\r\nHost: otp.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.settimeout(5)
        sent = 0
        try:
            while sent < 100 * MAX_BODY:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
        except OSError:
            pass
        assert sent < 100 * MAX_BODY


def test_a_trailer_without_end(front: Running) -> None:
    """Nor is one header after the body."""
    with front.connect() as connection:
        connection.sendall(b"POST /receipts/redeem HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ")
        sent = 0
        try:
            while sent < 16 * 1024 * 1024:
                sent += connection.send(b"x" * 65536)
        except OSError:
            pass
        assert sent < 16 * 1024 * 1024


def test_who_does_not_read_fills_no_memory(front: Running) -> None:
    """The server stops to read requests from a caller who does not read the responses."""
    with front.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(2)
        sent = 0
        try:
            while sent < 16 * 1024 * 1024:
                connection.sendall(HEALTH * 100)
                sent += 100 * len(HEALTH)
        except OSError:
            pass
        assert sent < 16 * 1024 * 1024


class _One:
    def __init__(self) -> None:
        self.given_up = False

    def give_up(self) -> None:
        """Remember it."""
        self.given_up = True


def test_the_oldest_makes_room() -> None:
    """Where too many are arriving."""

    async def fill() -> list[bool]:
        receiving = Receiving(asyncio.get_running_loop(), 60, most=2)
        ones = [_One() for _ in range(4)]
        for one in ones[:3]:
            receiving.begin(one)
            receiving.begin(one)
        receiving.end(ones[1])
        receiving.begin(ones[3])
        return [one.given_up for one in ones]

    assert asyncio.run(fill()) == [True, False, False, False]
