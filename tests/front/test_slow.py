"""Slow senders, idle connections and endless headers: none of them holds up anybody else."""

import json
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from otp_service.front.flask_app import PLACES
from otp_service.web.http import MAX_BODY

from .conftest import CONNECTIONS, DEADLINE_S, WRONG, Request, Running, ServingThread, body_of, read_response
from .test_protocol import HEALTH, status_of
from .test_same_answers import Cases

TOLERANCE_S = 20.0
"""For a busy machine."""

DOCUMENTS_WAITING = PLACES["documents"][2]


@pytest.fixture(scope="module")
def _hasty(_served: Running) -> Iterator[Running]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ServingThread(_served.settings, listening, _served.chance, DEADLINE_S) as thread,
    ):
        yield replace(_served, port=listening.getsockname()[1], endpoints=thread.endpoints)


@pytest.fixture
def hasty(front: Running, _hasty: Running) -> Running:
    """Another server over the same store, which gives a request `DEADLINE_S` to arrive."""
    return replace(front, port=_hasty.port, endpoints=_hasty.endpoints)


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
def test_half_a_request_is_given_up(hasty: Running, sent: bytes) -> None:
    """At its deadline; and meanwhile others are answered."""
    with hasty.connect() as slow, hasty.connect() as other:
        slow.sendall(sent)
        other.sendall(HEALTH)
        assert status_of(read_response(other)) == 200
        ends_within(slow, DEADLINE_S + TOLERANCE_S)


def test_bytes_in_between_give_no_more_time(hasty: Running) -> None:
    """A byte now and then does not keep a request alive."""
    began = time.monotonic()
    with hasty.connect() as slow:
        try:
            for byte in b"POST /verify/check HTTP/1.1\r\nX-Slow: " + b"x" * 1000:
                slow.sendall(bytes([byte]))
                time.sleep(0.05)
                assert time.monotonic() - began < DEADLINE_S + TOLERANCE_S
        except OSError:
            return
    pytest.fail("the connection was not closed")


def test_an_idle_connection_that_was_used_is_kept(hasty: Running) -> None:
    """Longer than a request may take to arrive."""
    with hasty.connect() as connection:
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
            data = ends_within(connection, 30)
        except OSError:
            pass
        assert not data or status_of(data) == 431


def test_a_body_without_end(front: Running) -> None:
    """A chunked body that never stops is read no further than the limit."""
    with front.connect() as connection:
        connection.sendall(b"POST /receipts/redeem HTTP/1.1\r\nHost: otp.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.settimeout(30)
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


def test_idle_connections_stop_nobody(crowded: Running) -> None:
    """Many times what the process may have: each new one is served, one that waits for news stays, idle ones close."""
    started = json.loads(body_of(crowded.run([Cases(crowded).start()], {})[0]))
    path = f"/verify/{started['verification_id']}?wait=25&after={started['version']}"
    waiting, idle = crowded.connect(), []
    try:
        waiting.sendall(Request("GET", path, headers=Cases(crowded).headers).raw([], {}))
        for number in range(5 * CONNECTIONS):
            idle.append(crowded.connect())
            if number % 2:
                idle[-1].sendall(HEALTH)
                assert status_of(read_response(idle[-1])) == 200
            elif number % 3 == 0:
                idle[-1].sendall(b"POST /verify/check HTTP/1.1\r\nHost: otp.test\r\nContent-Length: 9\r\n\r\n{")
        answer = ends_within(idle[0], 30)
        assert not answer or status_of(answer) == 408
        check = {"verification_id": started["verification_id"], "code": WRONG}
        with crowded.connect() as other:
            request = Request("POST", "/verify/check", json.dumps(check).encode(), Cases(crowded).headers)
            other.sendall(request.raw([], {}))
            assert status_of(read_response(other)) == 422
        assert json.loads(body_of(read_response(waiting)))["version"] > started["version"]
    finally:
        for connection in (waiting, *idle):
            connection.close()


def test_who_does_not_read_loses_the_connection(crowded: Running) -> None:
    """At a deadline; what was to be sent is thrown away."""
    with crowded.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: otp.test\r\n\r\n" * 200)
        ended = select.poll()
        ended.register(connection, 0)
        assert ended.poll(30_000)


def test_who_finds_no_thread_loses_the_requests_behind_it(front: Running) -> None:
    """A crowd that sends many requests at once is refused once a connection, not once a request."""
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: otp.test\r\n\r\n"
    crowd = [front.connect() for _ in range(2 * DOCUMENTS_WAITING)]
    try:
        for connection in crowd:
            connection.sendall(asked * 200)
        refused = 0
        for connection in crowd:
            connection.settimeout(60)
            if status_of(answer := read_response(connection)) != 503:
                continue
            refused += 1
            assert b"\r\nconnection: close\r\n" in answer
            assert b"HTTP/1.1" not in rest_of(connection)
        assert refused
    finally:
        for connection in crowd:
            connection.close()


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the end, also where that is a reset."""
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionError:
        pass
    return data
