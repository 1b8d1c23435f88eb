"""The production server against clients that do not keep to HTTP: bytes on a socket, as an attacker sends them."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from ..conftest import Dev
from .service_client import ServiceClient

PATIENCE_S = 8.0
"""What is slow on purpose is given up after ten seconds."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
BODY = b'{"code": "123456", "verification_id": "vrf_x"}'


class RawConnections:
    """Connections to the API."""

    def __init__(self, service_client: ServiceClient) -> None:
        parts = urlsplit(service_client.url)
        self._address = (str(parts.hostname), int(parts.port or 80))
        self.authorization = f"Authorization: Bearer {service_client.key()}\r\n".encode()

    def open(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(self._address, timeout=30)

    def post(self, path: bytes, body: bytes, *headers: bytes, length: bool = True, known: bool = True) -> bytes:
        """A request's bytes."""
        lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Type: application/json", *headers]
        if length:
            lines.append(b"Content-Length: %d" % len(body))
        head = b"\r\n".join(lines) + b"\r\n"
        return head + (self.authorization if known else b"") + b"\r\n" + body

    def to_the_end(self, data: bytes) -> bytes:
        """Everything that comes back until the server closes the connection, which it must do."""
        out = b""
        with self.open() as connection:
            try:
                connection.sendall(data)
                while part := connection.recv(65_536):
                    out += part
            except ConnectionError:
                pass
        return out

    def exchange(self, data: bytes, answers: int = 1) -> bytes:
        """Everything that comes back until the server closes, or a moment after that many answers have come."""
        with self.open() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
            out = b""
            deadline = time.monotonic() + 30
            with contextlib.suppress(OSError):
                while time.monotonic() < deadline:
                    connection.settimeout(0.15 if len(statuses(out)) >= answers else 30)
                    if not (part := connection.recv(65_536)):
                        break
                    out += part
            return out


def statuses(answer: bytes) -> list[int]:
    """The statuses of all answers in the bytes."""
    return [int(status) for status in _STATUS.findall(answer)]


@pytest.fixture
def raw(service_client: ServiceClient, shared_dev: Dev) -> Iterator[RawConnections]:
    """Raw connections; afterwards the service is as well as before, and its log shows no fault."""
    before = len(shared_dev.logs)
    yield RawConnections(service_client)
    assert httpx.get(f"{service_client.url}/readyz", timeout=30).status_code == 200
    written = shared_dev.logs[before:]
    for word in ("Traceback", "panicked", '"unexpected"'):
        assert word not in written


NEXT = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_requests_with_two_meanings(raw: RawConnections) -> None:
    """Conflicting lengths, both lengths and chunks, unknown encodings, odd spellings: 400, and nothing is smuggled."""
    for headers in (
        [b"Content-Length: 5"],
        [b"Content-Length: %d, %d" % (len(BODY), len(BODY))],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Content-Length: +5"],
        [b"Content-Length: -1"],
        [b"Content-Length: 0x10"],
        [b"X: a\x00b"],
        [b"X: a", b" folded"],
    ):
        plain = not any(b"Length" in header or b"Encoding" in header for header in headers)
        answer = raw.exchange(
            raw.post(b"/verify/check", BODY, *headers, length=plain or headers[0][-1:] == b"5") + NEXT
        )
        assert statuses(answer) == [400], headers
    # Chunks win over a length, and the connection ends with the answer: what follows is no request.
    both = raw.post(b"/verify/check", b"0\r\n\r\n" + NEXT, b"Transfer-Encoding: chunked")
    assert statuses(raw.exchange(both)) == [400]


def test_chunks(raw: RawConnections) -> None:
    """A chunked body is read as any other; broken chunks are 400 and end the connection."""
    chunked = b"Transfer-Encoding: chunked"
    good = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (5, BODY[:5], len(BODY) - 5, BODY[5:])
    assert statuses(raw.exchange(raw.post(b"/verify/check", good, chunked, length=False) + NEXT, 2)) == [404, 200]
    for broken in (
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"f" * 20 + b"\r\nabc\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
    ):
        answer = raw.exchange(raw.post(b"/verify/check", broken, chunked, length=False) + NEXT)
        assert statuses(answer) == [400], broken


def test_old_and_odd_requests(raw: RawConnections) -> None:
    """HTTP/1.0, pipelining, absolute targets, HEAD, a body on GET, 100-continue: each as HTTP has it."""
    old = b"POST /verify/check HTTP/1.0\r\nContent-Type: application/json\r\n"
    answer = raw.exchange(old + raw.authorization + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
    assert statuses(answer) == [404]
    three = raw.post(b"/verify/check", BODY) + NEXT + raw.post(b"/verify/check", b"[")
    assert statuses(raw.exchange(three, 3)) == [404, 200, 400]
    assert statuses(raw.exchange(b"GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n")) == [200]
    head = raw.exchange(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + NEXT, 2)
    assert statuses(head) == [200, 200]
    assert head.count(b'{"status"') == 1
    with_body = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nGET / HTT"
    # The body is read whole, and is no request.
    assert statuses(raw.exchange(with_body + NEXT, 2)) == [200, 200]
    answer = raw.exchange(raw.post(b"/verify/check", BODY, b"Expect: 100-continue"), 2)
    assert statuses(answer) == [100, 404]
    for nonsense in (
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00" * 100,
        b"GET\r\n\r\n",
    ):
        assert statuses(raw.exchange(nonsense)) in ([400], [])
    answer = raw.exchange(b"GET /verify/%zz%ff%00%F0%9F HTTP/1.1\r\nHost: x\r\n" + raw.authorization + b"\r\n")
    assert statuses(answer) == [404]


def test_headers_without_end(raw: RawConnections) -> None:
    """Too many, too large or too long a target: 431 or 414, and the connection is closed."""
    many = b"".join(b"A%d: b\r\n" % number for number in range(1000))
    for head, allowed in (
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n", [431]),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n", [431]),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", [414]),
    ):
        assert statuses(raw.to_the_end(head)) in (allowed, [])


def test_a_refusal_before_the_body_was_read(raw: RawConnections, service_client: ServiceClient) -> None:
    """401 with a body on its way: it is read and never taken for a request, or the connection ends and says so."""
    for size in (20, 2_000, 60_000, 1_000_000):
        body = NEXT * (size // len(NEXT) + 1)
        answer = raw.exchange(raw.post(b"/verify/start", body, known=False) + NEXT, 2)
        assert statuses(answer) == ([401] if size == 1_000_000 else [401, 200]), size
        assert (b"connection: close" in answer.lower()) == (size == 1_000_000)
    with httpx.Client(timeout=30) as client:
        for size in (0, 20, 2_000, 60_000):
            for _ in range(5):
                assert client.post(f"{service_client.url}/verify/start", content=b"x" * size).status_code == 401


def test_bodies_without_end(raw: RawConnections) -> None:
    """Over 64 kB is 413 and the end of the connection, declared or in chunks that never end."""
    assert statuses(raw.exchange(raw.post(b"/verify/start", b"x" * 1_000_000) + NEXT)) == [413]
    with raw.open() as connection:
        head = raw.post(b"/verify/start", b"", b"Transfer-Encoding: chunked", length=False)
        sent, refused = 0, False
        try:
            connection.sendall(head)
            while sent < 5_000_000 and not refused:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
                # It has some time for its answer where one is due.
                connection.settimeout(0.001 if sent < 64 * 1024 else 1)
                with contextlib.suppress(TimeoutError):
                    refused = connection.recv(12) == b"HTTP/1.1 413"
                connection.settimeout(30)
        except ConnectionError:
            refused = True
        assert refused
        assert 64 * 1024 <= sent < 5_000_000


def dripping(raw: RawConnections, head: bytes, count: int) -> list[socket.socket]:
    """Connections that have begun a request and do not go on."""
    connections = []
    for _ in range(count):
        connection = raw.open()
        connection.sendall(head)
        connections.append(connection)
    return connections


def test_slow_clients_do_not_keep_the_others_waiting(raw: RawConnections, service_client: ServiceClient) -> None:
    """100 clients with slow headers, 50 with slow bodies and no key, 20 slow webhooks: logins go on beside them."""
    unknown = raw.post(b"/verify/start", b"", b"Content-Length: 500", length=False, known=False)
    hook = raw.post(b"/webhooks/telnyx", b"{", b"Content-Length: 500", length=False, known=False)
    slow = [
        *dripping(raw, b"POST /verify/start HTTP/1.1\r\nHost: x\r\nA: ", 100),
        *dripping(raw, unknown, 50),
        *dripping(raw, hook, 20),
    ]
    try:
        time.sleep(0.2)
        took: list[float] = []

        def log_in() -> None:
            for _ in range(5):
                number = service_client.number()
                began = time.monotonic()
                answer = service_client.start(number)
                took.append(time.monotonic() - began)
                assert answer.status_code == 201

        in_threads(log_in, 3)
        assert len(took) == 15
        assert max(took) < PATIENCE_S
        assert httpx.get(f"{service_client.url}/healthz", timeout=30).status_code == 200
    finally:
        for connection in slow:
            connection.close()
    # With the slow ones gone webhooks are answered at once.
    deadline = time.monotonic() + 60
    while statuses(raw.exchange(raw.post(b"/webhooks/telnyx", b"{}", known=False))) != [401]:
        assert time.monotonic() < deadline


def in_threads(act: Callable[[], None], count: int) -> None:
    """Run the same in several threads and wait."""
    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_client_that_goes_away(raw: RawConnections, service_client: ServiceClient) -> None:
    """Closing in mid-request costs nobody anything; closing after it may start or not, but never twice."""
    number = service_client.number()
    whole = raw.post(b"/verify/start", b'{"to": "%b"}' % number.encode())
    for cut in (10, 80, len(whole) - 3):
        with raw.open() as connection:
            connection.sendall(whole[:cut])
    assert service_client.inbox(number) == []
    with raw.open() as connection:
        connection.sendall(whole)
    assert service_client.start(number).status_code in (201, 429)
    assert len(service_client.code(number)) == 6
    assert len(service_client.inbox(number)) == 1
