"""What a network fault means for a message: not sent, unknown or accepted, by what the server can have seen."""

import socket
import threading
from collections.abc import Callable

import pytest

from otp_service.domain.delivery import Accepted, NotSent, Refused, Unknown
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.requests import GENERIC, SendRequest
from otp_service.telnyx.transport import LARGEST_ANSWER, Timeouts
from tests.telnyx.misbehaving import Misbehaving, Script, answering, message, reset, response

from .clients import HURRY, KEY, PATIENT, REQUEST, client_of, closed_port, outcome_of


def test_a_message_the_carrier_took_is_accepted() -> None:
    """A 200 with an id is Accepted, with the carrier's own status and the time it will hold the message."""
    assert outcome_of(answering(response(200, message()))) == Accepted(
        "40385f64-5717-4562-b3fc-2c963f66afa6", "queued", 0.5
    )


def test_a_refused_connection_is_not_sent() -> None:
    """Nobody listens: certainly nothing was sent."""
    with closed_port() as port, TelnyxClient("KEY", f"http://127.0.0.1:{port}/v2") as client:
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), NotSent)


def test_a_failed_tls_handshake_is_not_sent() -> None:
    """A server without TLS never saw the request."""

    def plain(_: Misbehaving, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with (
        Misbehaving(plain) as server,
        TelnyxClient("KEY", f"https://127.0.0.1:{server.port}/v2") as client,
    ):
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), NotSent)


def test_a_tls_handshake_that_hangs_is_not_sent() -> None:
    """A server that accepts and then says nothing cannot have read a request that was never encrypted."""

    def silent(server: Misbehaving, connection: socket.socket) -> None:
        connection.recv(65536)
        server.released.wait()

    hurry = Timeouts(connect_s=0.3)
    with (
        Misbehaving(silent) as server,
        TelnyxClient("KEY", f"https://127.0.0.1:{server.port}/v2", timeouts=hurry) as client,
    ):
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), NotSent)


def reset_after_request(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)
    reset(connection)


def close_after_request(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)


def reset_within_request(_: Misbehaving, connection: socket.socket) -> None:
    connection.recv(10)
    reset(connection)


def silence(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)
    server.released.wait()


def half_body(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(response(200, message())[:-20])


def half_body_then_silence(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(response(200, message())[:-20])
    server.released.wait()


def half_head(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def no_http(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"220 smtp.example ESMTP\r\n")


def drip(server: Misbehaving, connection: socket.socket) -> None:
    """Never slow enough for the read timeout, never done."""
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not server.released.wait(0.05):
        connection.sendall(b" ")


def endless(server: Misbehaving, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not server.released.is_set():
        connection.sendall(b" " * 65536)


ENDLESS = {silence, half_body_then_silence, drip}
"""Only a time-out ends them."""


@pytest.mark.parametrize(
    "script",
    [
        *(silence, half_body_then_silence, drip),
        reset_after_request,
        close_after_request,
        reset_within_request,
        half_body,
        half_head,
        no_http,
        endless,
        answering(response(200, b"<html>welcome</html>")),
        answering(response(200, b"")),
        answering(response(204)),
        answering(response(200, b'{"data":{"id":"a","id":"b"}}')),
        answering(response(200, b'{"data":{"id":NaN}}')),
        answering(response(200, b"[" * 100_000)),
        answering(response(200, b"\xff\xfe{\x00}\x00")),
        answering(response(200, {"data": {}})),
        answering(response(200, {"data": {"id": 17}})),
        answering(response(200, {"data": [message()["data"]]})),
        answering(response(200, {"errors": [{"code": "40300", "title": "x"}]})),
        answering(response(200, {"errors": [{"code": "40300", "title": "x"}], **message()})),
        answering(response(200, b" " * (LARGEST_ANSWER + 1) + b"{}")),
        answering(response(200, message(), "Content-Encoding: gzip")),
        answering(response(500)),
        answering(response(502, b"<html>")),
        answering(response(503, {"errors": [{"code": "10007", "title": "Unexpected"}]})),
        answering(response(408)),
        answering(response(409, {"errors": [{"code": "10036", "source": {"pointer": "/header/Idempotency-Key"}}]})),
    ],
)
def test_what_may_have_arrived_is_unknown(script: Script) -> None:
    """From the first byte on, whatever hides the answer leaves the outcome unknown: never refused, never not sent."""
    assert isinstance(outcome_of(script, HURRY if script in ENDLESS else PATIENT), Unknown)


def test_a_request_cut_off_while_it_is_written_is_unknown() -> None:
    """A server may act on what it has read, so a write that fails or stalls halfway proves nothing."""
    large = SendRequest(GENERIC, b" " * 20_000_000)

    def never_reads(server: Misbehaving, _: socket.socket) -> None:
        server.released.wait()

    for script, timeouts in ((reset_within_request, PATIENT), (never_reads, HURRY)):
        with client_of(script, timeouts) as (client, _):
            assert isinstance(client.send(large, idempotency_key=KEY), Unknown)


def test_too_many_requests_is_not_sent_and_says_when_to_return() -> None:
    """A 429 says how long to wait, by `Retry-After` before `x-ratelimit-reset`."""
    limited = {"errors": [{"code": "10011", "title": "Too many requests"}]}
    both = answering(response(429, limited, "Retry-After: 7", "x-ratelimit-reset: 3"))
    assert outcome_of(both) == NotSent("too many requests", 7.0)
    assert outcome_of(answering(response(429, b"", "X-RateLimit-Reset: 3"))) == NotSent("too many requests", 3.0)
    assert outcome_of(answering(response(429))) == NotSent("too many requests", None)


def test_a_redirect_is_refused_and_not_followed() -> None:
    """Key and code go nowhere but to the configured carrier; a redirect is somebody else's answer."""
    with Misbehaving(answering(response(200, message()))) as elsewhere:
        redirect = response(302, b"", f"Location: {elsewhere.base_url}/messages")
        outcome = outcome_of(answering(redirect))
        assert elsewhere.connections == 0
    assert isinstance(outcome, Refused)
    assert outcome.foreign


def test_an_idle_connection_closed_by_the_server_is_replaced() -> None:
    """A connection that the server has visibly closed is not used again: the next send is as good as the first."""
    closed = threading.Event()

    def once(server: Misbehaving, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(response(200, message()))
        connection.close()
        closed.set()

    with client_of(once) as (client, server):
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), Accepted)
        assert closed.wait(60)
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), Accepted)
        assert server.connections == 2
        assert len(server.requests) == 2


@pytest.mark.parametrize("end", [socket.socket.close, reset])
def test_a_kept_alive_connection_that_ends_under_a_request_is_unknown(end: Callable[[socket.socket], None]) -> None:
    """The second request on a connection may have been read before it died, and is not sent again in secret."""

    def second_dies(server: Misbehaving, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(response(200, message()))
        server.read_request(connection)
        end(connection)

    with client_of(second_dies) as (client, server):
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), Accepted)
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), Unknown)
        assert server.connections == 1
        assert len(server.requests) == 2
