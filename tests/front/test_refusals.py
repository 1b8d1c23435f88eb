"""What reaches no endpoint: each gets a problem document that says why, and its connection is closed."""

import json
import re

import pytest

from otp_service.front.head import HEADERS_MAX, TARGET_MAX
from otp_service.web.http import MAX_BODY

from .conftest import Request, Running, body_of, read_response
from .test_protocol import HEALTH, check_headers, status_of

HOST = b"Host: otp.test\r\n"
MANY = b"".join(b"X-%d: y\r\n" % number for number in range(HEADERS_MAX))
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400, "invalid_request"),
    "no method of HTTP": (b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 501, "method_unknown"),
    "small letters": (b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 501, "method_unknown"),
    "a method of WebDAV": (
        b"PROPFIND /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        501,
        "method_unknown",
    ),
    "a method of RTSP": (b"DESCRIBE /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 501, "method_unknown"),
    "no method at all": (b" /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    "no version": (b"GET /healthz\r\n\r\n", 400, "invalid_request"),
    "HTTP/2": (b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    "a proxy's method": (b"CONNECT otp.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "invalid_request"),
    "no Host, for Flask": (b"GET /docs HTTP/1.1\r\n\r\n", 400, "invalid_request"),
    "two Hosts": (b"GET /healthz HTTP/1.1\r\n" + HOST * 2 + b"\r\n", 400, "invalid_request"),
    "two Hosts in HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n" + HOST * 2 + b"\r\n", 400, "invalid_request"),
    "a header without a name": (b"GET /healthz HTTP/1.1\r\n" + HOST + b": x\r\n\r\n", 400, "invalid_request"),
    "two lengths": (
        b"POST /verify/check HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        400,
        "invalid_request",
    ),
    "a length and chunks": (
        b"POST /verify/check HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "invalid_request",
    ),
    "a long query": (
        b"GET /audit/events?x=" + b"y" * TARGET_MAX + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        414,
        "uri_too_long",
    ),
    "a query without end": (b"GET /verify/check?" + b"y" * 70_000, 414, "uri_too_long"),
    "many headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + MANY + b"\r\n", 431, "headers_too_large"),
    "a header without end": (b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 400_000, 431, "headers_too_large"),
    "another spelling": (b"GET //healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 404, "not_found"),
    "another spelling, for Flask": (
        b"GET //audit/events HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        404,
        "not_found",
    ),
    "no path": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 404, "not_found"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_a_refusal(front: Running, case: str) -> None:
    """A problem document with its own request id, which no cache may keep; then the end of the connection."""
    raw, status, code = REFUSED[case]
    with front.connect() as connection:
        connection.sendall(raw)
        response = read_response(connection)
        assert connection.recv(1) == b""
    problem = json.loads(body_of(response))
    assert (status_of(response), problem["status"], problem["code"]) == (status, status, code)
    head = dict(re.findall(r"\r\n([a-z-]+): ([^\r]*)", response.partition(b"\r\n\r\n")[0].decode()))
    assert ("errors" in problem) == (code == "invalid_request")
    assert head["x-request-id"] == problem["instance"]
    assert head["content-type"] == "application/problem+json"
    assert (head["cache-control"], head["connection"]) == ("no-store", "close")


@pytest.mark.parametrize("path", ["/verify/check", "/receipts/redeem", "/webhooks/telnyx"])
@pytest.mark.parametrize("more", [{}, {"Expect": "100-continue"}], ids=["at once", "asked before"])
def test_a_body_that_says_that_it_is_too_large(front: Running, path: str, more: dict[str, str]) -> None:
    """413 before any of it has come, and nobody is asked to send it."""
    headers = {**check_headers(front), **more, "Content-Length": str(100 * MAX_BODY)}
    with front.connect() as connection:
        connection.sendall(Request("POST", path, b"", headers).raw([], {}))
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_refusal_reaches_who_still_sends(front: Running) -> None:
    """The rest is read and thrown away for a while: a reset could destroy the response on its way."""
    headers = {**check_headers(front), "Content-Length": str(8 * MAX_BODY)}
    head = Request("POST", "/verify/check", b"", headers).raw([], {})
    with front.connect() as connection:
        connection.sendall(head)
        for _ in range(8):
            connection.sendall(b"x" * MAX_BODY)
        assert status_of(read_response(connection)) == 413
        assert connection.recv(1) == b""


def test_what_comes_after_the_last_response_is_no_request(front: Running) -> None:
    """Neither the rest of a body that was refused, nor anything behind it."""
    headers = {**check_headers(front), "Content-Length": str(2 * MAX_BODY)}
    with front.connect() as connection:
        connection.sendall(Request("POST", "/verify/check", b"", headers).raw([], {}))
        assert status_of(read_response(connection)) == 413
        connection.sendall(HEALTH * 10)
        assert connection.recv(1) == b""


def test_http_1_0_needs_no_host(front: Running) -> None:
    """It had none."""
    with front.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert status_of(read_response(connection)) == 200
