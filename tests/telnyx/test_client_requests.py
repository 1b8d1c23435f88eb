"""What the client sends and keeps: same bytes and key, one connection for each thread, no secret shown."""

import logging
import socket
import threading

import httpx
import pytest

from otp_service.domain.delivery import TOO_LATE, Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.exceptions import NotSentError, RefusedError, UnknownOutcomeError
from otp_service.telnyx.requests import SCHEDULE, SendRequest
from otp_service.telnyx.transport import Timeouts
from tests.telnyx.misbehaving import Misbehaving, answering, header, message, response

from .clients import HURRY, KEY, REQUEST, client_of, closed_port, outcome_of


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
    with closed_port() as port:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert isinstance(outcome_of(answering(response(200, message()))), Accepted)


def test_each_thread_has_a_connection_of_its_own_and_keeps_it() -> None:
    """Eight threads use eight connections at once, and each sends again over its own."""
    threads, together = 8, threading.Barrier(8)
    outcomes: list[SendOutcome] = []

    def work(client: TelnyxClient) -> None:
        for _ in range(2):
            together.wait(60)
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
        assert gone.wait(60)
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
def test_a_request_with_little_time_has_half_of_it_to_connect(
    within_s: float | None, connect_s: float, pool_s: float
) -> None:
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
