"""What the protocol promises about connections: these fail where another version of uvicorn behaves otherwise."""

import contextlib
import json
import socket
import time

import pytest

from otp_service.front.protocol import PIPELINED_MAX
from otp_service.web.http import MAX_BODY

from .conftest import Request, Running, body_of, read_response

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: otp.test\r\n\r\n"
LAST_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: otp.test\r\nConnection: close\r\n\r\n"
UNKNOWN = b"GET /nowhere HTTP/1.1\r\nHost: otp.test\r\n\r\n"


def status_of(response: bytes) -> int:
    """The status of a response."""
    assert response.startswith(b"HTTP/1.1 "), response
    return int(response[9:12])


def test_a_connection_is_kept(front: Running) -> None:
    """For requests to the loop and to Flask in turn."""
    with front.connect() as connection:
        for request, status in ((HEALTH, 200), (UNKNOWN, 404), (HEALTH, 200), (UNKNOWN, 404)):
            connection.sendall(request)
            assert status_of(read_response(connection)) == status


def test_requests_sent_at_once_are_answered_in_order(front: Running) -> None:
    """HTTP pipelining: whoever answers each of them."""
    with front.connect() as connection:
        connection.sendall(HEALTH + UNKNOWN + HEALTH + HEALTH + UNKNOWN + HEALTH)
        data = b""
        while data.count(b"HTTP/1.1 ") < 6 or not data.endswith(b"}"):
            data += connection.recv(65536)
    assert [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200, 200, 404, 200]


def test_a_check_sent_at_once_with_others(front: Running) -> None:
    """A request that waits for the store holds up what comes after it on its connection, and nothing else."""
    check = Request("POST", "/verify/check", b'{"to":"+12025550143","code":"123456"}', check_headers(front)).raw([], {})
    with front.connect() as connection:
        connection.sendall(check + HEALTH + check)
        statuses = []
        data = b""
        while data.count(b"HTTP/1.1 ") < 3 or not data.endswith(b"}"):
            data += connection.recv(65536)
        statuses = [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [404, 200, 404]


def answers(connection: socket.socket) -> list[int]:
    """The status of each response that comes until the server closes the connection."""
    data = b""
    while part := connection.recv(65536):
        data += part
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]


def test_many_requests_sent_at_once_take_turns_with_others(front: Running) -> None:
    """The loop itself answers one of those that came together; the rest wait as any server's would."""
    before = front.in_loop
    with front.connect() as connection:
        connection.sendall(HEALTH * 49 + LAST_HEALTH)
        assert answers(connection) == [200] * 50
    assert front.in_loop - before < 25


def test_more_requests_at_once_than_may_wait(front: Running) -> None:
    """The connection is closed; without a bound, one caller could fill the memory."""
    with front.connect() as connection:
        connection.sendall(HEALTH * (PIPELINED_MAX + 200))
        with contextlib.suppress(ConnectionResetError):
            assert len(answers(connection)) < PIPELINED_MAX


def test_as_many_requests_at_once_as_may_wait(front: Running) -> None:
    """Are answered."""
    with front.connect() as connection:
        connection.sendall(HEALTH * PIPELINED_MAX + LAST_HEALTH)
        assert answers(connection) == [200] * (PIPELINED_MAX + 1)


ASKS_THE_STORE = b"GET /verify/vrf_x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer otp_aaaaaaaaaaaa_%b\r\n\r\n" % (
    b"x" * 43
)


@pytest.mark.parametrize(
    "first", [UNKNOWN, ASKS_THE_STORE.replace(b"vrf_x", b"vrf_" + b"a" * 32)], ids=["Flask", "loop"]
)
def test_what_is_no_http_is_never_an_earlier_requests_response(front: Running, first: bytes) -> None:
    """The 400 for it would be taken for the response to the request before it."""
    with front.connect() as connection:
        connection.sendall(first + b"\x16\x03\x01 hello\r\n\r\n")
        assert 400 not in answers(connection)


@pytest.mark.parametrize("pieces", [1, 7, 10_000])
@pytest.mark.parametrize("path", [b"/verify/check", b"/receipts/redeem"], ids=["loop", "Flask"])
def test_a_wish_for_another_protocol_is_ignored(front: Running, path: bytes, pieces: int) -> None:
    """Java's client wishes for HTTP/2 in each request. The body stays this request's, and the next request is read."""
    key = b"Authorization: Bearer " + front.key().encode() + b"\r\nContent-Type: application/json\r\n"
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    body = b'{"receipt":"x"}' if path == b"/receipts/redeem" else b'{"to":"+12025550143","code":"123456"}'
    head = b"POST " + path + b" HTTP/1.1\r\nHost: otp.test\r\n" + key + wish + b"Content-Length: %d\r\n\r\n" % len(body)
    closing = LAST_HEALTH.replace(b"Connection: ", b"Upgrade: h2c\r\nConnection: Upgrade, ")
    raw = (head + body) * 2 + HEALTH + closing
    with front.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(raw), pieces):
            connection.sendall(raw[at : at + pieces])
        expected = 422 if path == b"/receipts/redeem" else 404
        assert answers(connection) == [expected, expected, 200, 200]


def test_a_trailer_is_no_header(front: Running) -> None:
    """What comes after the body does not pass for a key, which a proxy may have looked for in the headers."""
    trailer = b"Authorization: Bearer " + front.key().encode() + b"\r\n"
    head = b"POST /verify/check HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with front.connect() as connection:
        connection.sendall(head + b"2\r\n{}\r\n0\r\n" + trailer + b"\r\n")
        assert status_of(read_response(connection)) == 401


def check_headers(front: Running) -> dict[str, str]:
    """The headers of a check."""
    return {"Content-Type": "application/json", "Authorization": f"Bearer {front.key()}"}


def test_a_request_in_many_pieces(front: Running) -> None:
    """Byte by byte it is the same request, and the loop answers it."""
    raw = Request("POST", "/verify/check", b'{"to":"+12025550143","code":"123456"}', check_headers(front)).raw([], {})
    before = front.in_loop
    with front.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(raw)):
            connection.sendall(raw[at : at + 1])
        assert status_of(read_response(connection)) == 404
    assert front.in_loop == before + 1


def test_a_get_that_says_it_has_no_body_is_plain(front: Running) -> None:
    """It may wait in the loop like any other."""
    before = front.in_loop
    with front.connect() as connection:
        connection.sendall(HEALTH.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))
        assert status_of(read_response(connection)) == 200
    assert front.in_loop == before + 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"POST /verify/check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
        (b"POST /verify/check HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n", b"{}"),
        (b"POST /verify/check?x=1 HTTP/1.1\r\nContent-Length: 2\r\n", b"{}"),
        (b"POST /verify/%63heck HTTP/1.1\r\nContent-Length: 2\r\n", b"{}"),
        (b"POST /verify/check HTTP/1.1\r\nContent-Type: a\r\nContent-Type: b\r\nContent-Length: 2\r\n", b"{}"),
        (b"POST /verify/check HTTP/1.1\r\nX_Y: 1\r\nContent-Length: 2\r\n", b"{}"),
        (b"GET /verify/check HTTP/1.1\r\n", b""),
    ],
    ids=["chunked", "expect", "query", "escaped", "twice", "underscore", "method"],
)
def test_what_is_not_plain_is_for_flask(front: Running, head: bytes, body: bytes) -> None:
    """And gets its answer there."""
    before = front.in_loop
    with front.connect() as connection:
        connection.sendall(head + b"Host: otp.test\r\n\r\n" + body)
        response = read_response(connection)
    assert status_of(response) in (401, 404, 405)
    assert json.loads(body_of(response))["status"] == status_of(response)
    assert front.in_loop == before


def test_a_connection_that_is_to_be_closed(front: Running) -> None:
    """`Connection: close` is said and done."""
    with front.connect() as connection:
        connection.sendall(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        response = read_response(connection)
        assert b"\r\nconnection: close\r\n" in response
        assert connection.recv(1) == b""


@pytest.mark.parametrize("key", [None, "default"])
def test_a_body_that_is_too_large(front: Running, key: str | None) -> None:
    """413 with a key, 401 without; the connection is closed, since the rest of the body is not read."""
    headers = {} if key is None else check_headers(front)
    head = Request("POST", "/verify/check", b"", {**headers, "Content-Length": str(MAX_BODY + 1)}).raw([], {})
    with front.connect() as connection:
        connection.sendall(head + b"x" * (MAX_BODY + 1))
        response = read_response(connection)
    assert status_of(response) == (401 if key is None else 413)
    assert b"\r\nconnection: close\r\n" in response


def test_what_is_no_http(front: Running) -> None:
    """400, and the connection is closed."""
    with front.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_a_caller_who_goes_away(front: Running) -> None:
    """In the middle of a request, or before the answer: the next caller notices nothing."""
    raw = Request("POST", "/verify/check", b'{"to":"+12025550143","code":"123456"}', check_headers(front)).raw([], {})
    for part in (raw, raw[:-5], raw[:40]):
        with front.connect() as connection:
            connection.sendall(part)
    time.sleep(0.05)
    with front.connect() as connection:
        connection.sendall(HEALTH)
        assert status_of(read_response(connection)) == 200


def test_a_head_without_a_body(front: Running) -> None:
    """HEAD of a document has its headers only."""
    with front.connect() as connection:
        connection.sendall(b"HEAD /docs HTTP/1.1\r\nHost: otp.test\r\n\r\n" + HEALTH)
        data = b""
        while not data.endswith(b'"}') and b'"ok"' not in data:
            data += connection.recv(65536)
    assert data.count(b"HTTP/1.1 ") == 2
