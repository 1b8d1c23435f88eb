"""What `send` makes of a network and a server that misbehave. Everything happens on loopback."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from otp_service.domain.delivery import TOO_LATE, Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.exceptions import NotSentError, RefusedError, UnknownOutcomeError
from otp_service.telnyx.requests import GENERIC, SCHEDULE, SendRequest, build_send
from otp_service.telnyx.transport import LARGEST_ANSWER, Timeouts
from tests.telnyx.misbehaving import Misbehaving, Script, answering, header, message, reset, response

# Short enough for the tests that wait in vain, long enough for a busy machine to answer in all others.
HURRY = Timeouts(connect_s=1.0, read_s=1.0, write_s=1.0, pool_s=1.0, total_s=1.0)
REQUEST = build_send(
    "long_code",
    to="+12025550143",
    text="123456 is your code",
    sender="+18445550001",
    messaging_profile_id=None,
    webhook_url="https://otp.example/webhooks/telnyx/dlv_1",
)
KEY = "dlv_1-1"


@contextmanager
def client_of(script: Script, timeouts: Timeouts = HURRY) -> Iterator[tuple[TelnyxClient, Misbehaving]]:
    """A client and the server it talks to."""
    with Misbehaving(script) as server, TelnyxClient("KEY_secret", server.base_url, timeouts=timeouts) as client:
        yield client, server


def outcome_of(script: Script) -> SendOutcome:
    """What one send to a server with this script ends in."""
    with client_of(script) as (client, _):
        return client.send(REQUEST, idempotency_key=KEY)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_message_the_carrier_took_is_accepted() -> None:
    """A 200 with an id is Accepted, with the carrier's own status and the time it will hold the message."""
    assert outcome_of(answering(response(200, message()))) == Accepted(
        "40385f64-5717-4562-b3fc-2c963f66afa6", "queued", 0.5
    )


def test_a_refused_connection_is_not_sent() -> None:
    """Nobody listens: certainly nothing was sent."""
    with TelnyxClient("KEY", f"http://127.0.0.1:{free_port()}/v2", timeouts=HURRY) as client:
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), NotSent)


def test_a_failed_tls_handshake_is_not_sent() -> None:
    """A server without TLS never saw the request."""

    def plain(_: Misbehaving, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with (
        Misbehaving(plain) as server,
        TelnyxClient("KEY", f"https://127.0.0.1:{server.port}/v2", timeouts=HURRY) as client,
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


@pytest.mark.parametrize(
    "script",
    [
        reset_after_request,
        close_after_request,
        reset_within_request,
        silence,
        half_body,
        half_body_then_silence,
        half_head,
        no_http,
        drip,
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
    assert isinstance(outcome_of(script), Unknown)


def test_a_request_cut_off_while_it_is_written_is_unknown() -> None:
    """A server may act on what it has read, so a write that fails or stalls halfway proves nothing."""
    large = SendRequest(GENERIC, b" " * 20_000_000)

    def never_reads(server: Misbehaving, _: socket.socket) -> None:
        server.released.wait()

    for script in (reset_within_request, never_reads):
        with client_of(script) as (client, _):
            assert isinstance(client.send(large, idempotency_key=KEY), Unknown)


def test_too_many_requests_is_not_sent_and_says_when_to_return() -> None:
    """A 429 tells how long to wait, by `Retry-After` before `x-ratelimit-reset`."""
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
        assert closed.wait(5)
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), Accepted)
        assert server.connections == 2
        assert len(server.requests) == 2


@pytest.mark.parametrize("end", [socket.socket.close, reset])
def test_a_kept_alive_connection_that_dies_under_a_request_is_unknown(end: Callable[[socket.socket], None]) -> None:
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


def test_every_try_sends_the_same_bytes_with_the_same_key() -> None:
    """What the carrier compares for idempotency (path, body, key) does not change between tries."""
    with client_of(answering(response(500), response(503), response(200, message()))) as (client, server):
        outcomes = [client.send(REQUEST, idempotency_key=KEY) for _ in range(3)]
        assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown, Accepted]
        assert {body for _, body in server.requests} == {REQUEST.body}
        assert {header(head, "idempotency-key") for head, _ in server.requests} == {KEY}
        assert {head.split(b"\r\n")[0] for head, _ in server.requests} == {b"POST /v2/messages/long_code HTTP/1.1"}


def test_one_call_is_one_request() -> None:
    """Nothing below us retries, not on any status that libraries like to retry."""
    for status in (408, 409, 429, 500, 502, 503, 504):
        with client_of(answering(response(status))) as (client, server):
            client.send(REQUEST, idempotency_key=KEY)
            assert len(server.requests) == 1


def test_what_is_said_to_the_carrier() -> None:
    """Bearer key, JSON, no compression, and nothing of the environment's proxies."""
    with client_of(answering(response(200, message()))) as (client, server):
        client.send(REQUEST, idempotency_key=KEY)
        head, _ = server.requests[0]
    assert header(head, "authorization") == "Bearer KEY_secret"
    assert header(head, "content-type") == "application/json"
    assert header(head, "accept-encoding") == "identity"


def test_the_environment_cannot_divert_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables and a netrc are not obeyed: the key and the codes go to the carrier only."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert isinstance(outcome_of(answering(response(200, message()))), Accepted)


def test_each_thread_has_a_connection_of_its_own_and_keeps_it() -> None:
    """Eight threads use eight connections at once, and each sends again over its own."""
    threads, together = 8, threading.Barrier(8)
    outcomes: list[SendOutcome] = []

    def work(client: TelnyxClient) -> None:
        for _ in range(2):
            together.wait(5)
            outcomes.append(client.send(REQUEST, idempotency_key=KEY))

    with client_of(answering(response(200, message())), Timeouts()) as (client, server):
        running = [threading.Thread(target=work, args=(client,)) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert len(outcomes) == 16
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert server.connections == threads


def test_connections_of_ended_threads_are_closed() -> None:
    """A new thread's first send closes what ended threads left behind, so that nothing piles up."""
    gone = threading.Event()

    def watch(server: Misbehaving, connection: socket.socket) -> None:
        while server.read_request(connection):
            connection.sendall(response(200, message()))
        gone.set()

    with client_of(watch) as (client, server):
        for _ in range(2):
            thread = threading.Thread(target=lambda: client.send(REQUEST, idempotency_key=KEY))
            thread.start()
            thread.join()
        assert gone.wait(5)
        assert server.connections == 2


def test_a_closed_client_says_so() -> None:
    """Using a client after its end is a mistake of ours, not an outcome of a send; closing twice is none."""
    with client_of(answering(response(200, message()))) as (client, _):
        client.send(REQUEST, idempotency_key=KEY)
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.send(REQUEST, idempotency_key=KEY)


def every_failure_of(family: type[Exception]) -> list[type[Exception]]:
    """All classes of a tree of exceptions, its root included."""
    return [family, *(found for child in family.__subclasses__() for found in every_failure_of(child))]


BEFORE = {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol}
FAILURES = [*every_failure_of(httpx.RequestError), OSError, ConnectionResetError, ValueError, KeyError]


@pytest.mark.parametrize("failure", FAILURES)
def test_no_foreign_exception_leaves_the_client(failure: type[Exception]) -> None:
    """Each way httpx can fail becomes one of ours; only what cannot have sent a byte counts as not sent."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise failure("boom")

    before = failure in BEFORE
    with TelnyxClient("KEY", "http://carrier.test/v2", transport=httpx.MockTransport(fail)) as client:
        assert isinstance(client.send(REQUEST, idempotency_key=KEY), NotSent if before else Unknown)
        with pytest.raises(NotSentError if before else UnknownOutcomeError):
            client.retrieve("abc")


def test_operations_raise_by_what_is_known() -> None:
    """The typed operations have the same four outcomes as `send`, as exceptions."""
    with client_of(answering(response(429, b"", "Retry-After: 2"))) as (client, _):
        with pytest.raises(NotSentError) as not_sent:
            client.show_bulk_update("x")
        assert not_sent.value.retry_after_s == 2.0
    with client_of(answering(response(401, {"errors": [{"code": "10009", "title": "Authentication failed"}]}))) as (
        client,
        _,
    ):
        with pytest.raises(RefusedError) as refused:
            client.show_number("x")
        assert (refused.value.code, refused.value.status) == ("10009", 401)
        assert refused.value.refusal == Refused("10009", "Authentication failed", Action.STOP_ALL)
    with client_of(answering(response(500))) as (client, _), pytest.raises(UnknownOutcomeError):
        client.show_number("x")
    with client_of(answering(response(200, b"{"))) as (client, _), pytest.raises(UnknownOutcomeError):
        client.show_number("x")


@pytest.mark.parametrize("key", ["", "a b", "a:b", "ü", "a\nb", "x" * 256])
def test_a_key_the_carrier_would_refuse_is_our_mistake(key: str) -> None:
    """An idempotency key of another form than the carrier documents never goes out."""
    with TelnyxClient("KEY", "http://127.0.0.1:1/v2") as client, pytest.raises(ValueError, match="idempotency key"):
        client.send(REQUEST, idempotency_key=key)


def test_a_key_is_not_spent_where_the_carrier_ignores_it() -> None:
    """Scheduling takes no key, so a keyed send there, which would look safe to repeat, is refused by us."""
    with TelnyxClient("KEY", "http://127.0.0.1:1/v2") as client, pytest.raises(ValueError, match="takes no"):
        client.send(SendRequest(SCHEDULE, b"{}"), idempotency_key=KEY)


@pytest.mark.parametrize(
    "base_url",
    ["", "api.telnyx.com", "ftp://x/v2", "http://", "http://u:p@x/v2", "http://x/v2?a=b", "http://x:port/v2"],
)
def test_a_base_url_that_cannot_be_is_refused(base_url: str) -> None:
    """A wrong base URL is found when the client is built, not when the first code should go out."""
    with pytest.raises(ValueError, match="base URL"):
        TelnyxClient("KEY", base_url)


@pytest.mark.parametrize("api_key", ["", "KEY \n", "schlüssel"])
def test_an_api_key_that_cannot_be_is_refused_without_being_shown(api_key: str) -> None:
    """A key that no header can carry is refused at once; the sentence does not repeat it."""
    with pytest.raises(ValueError, match="API key") as refusal:
        TelnyxClient(api_key)
    assert not api_key or api_key not in str(refusal.value)


def test_neither_repr_nor_log_shows_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """The API key, numbers, texts and codes stand in no repr and no log record, not even at the lowest level."""
    caplog.set_level(logging.DEBUG)
    with client_of(answering(response(200, message()))) as (client, _):
        shown = [repr(client), repr(REQUEST), repr(client.send(REQUEST, idempotency_key=KEY))]
        with pytest.raises(UnknownOutcomeError):
            list(client.list_numbers(phone_numbers=["+12025550143"]))
    for secret in ("KEY_secret", "2025550143", "123456"):
        assert secret not in " ".join(shown)
        assert secret not in caplog.text


# ---- a request that must leave in time ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("within_s", "connect_s", "pool_s"), [(None, 1.0, 1.0), (10.0, 1.0, 1.0), (1.0, 0.5, 0.5), (0.2, 0.1, 0.1)]
)
def test_a_hurried_request_halves_its_time_for_the_way(within_s: float | None, connect_s: float, pool_s: float) -> None:
    """TCP and TLS each take the connect time, so both together end in time; an answer is awaited as long as ever."""
    seen: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, json={"data": message()["data"] if "data" in message() else message()})

    transport = httpx.MockTransport(answer)
    with TelnyxClient("KEY_secret", "http://carrier.example/v2", timeouts=HURRY, transport=transport) as client:
        client.send(REQUEST, idempotency_key=KEY, within_s=within_s)
    assert seen == [pytest.approx({"connect": connect_s, "read": 1.0, "write": 1.0, "pool": pool_s})]


@pytest.mark.parametrize("within_s", [0.09, 0.0, -5.0])
def test_a_request_that_is_too_late_is_not_made(within_s: float) -> None:
    """Nothing leaves: not even a connection is opened, and nobody is blamed."""
    transport = httpx.MockTransport(lambda request: pytest.fail(f"asked: {request}"))
    with TelnyxClient("KEY_secret", "http://carrier.example/v2", transport=transport) as client:
        assert client.send(REQUEST, idempotency_key=KEY, within_s=within_s) == NotSent(TOO_LATE)
