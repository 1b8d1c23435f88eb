"""One deadline for a whole exchange, answers that belong to another request, and bytes that nobody asked for.

Everything happens on loopback, with servers that break the rules.
"""

import select
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpcore
import httpx
import pytest

from otp_service.connections import Deadline, connect
from otp_service.domain.delivery import Accepted, NotSent, SendOutcome, Unknown
from otp_service.storage.due_deliveries import UNDER_WAY_MS
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.exceptions import UnknownOutcomeError
from otp_service.telnyx.requests import GENERIC, SendRequest, build_group_mms, build_send
from otp_service.telnyx.transport import DEFAULT_TIMEOUTS, Timeouts
from tests.receivers.test_client import certificate
from tests.telnyx.misbehaving import Misbehaving, Script, answering, message, response

PERSON, OTHER = "+12025550143", "+12025550144"
HOOK = "https://otp.example/webhooks/telnyx/"
PATIENT = Timeouts(connect_s=60.0, read_s=60.0, write_s=60.0, total_s=1.0)
"""Each single step may take sixty times as long as the whole."""

HASTY = replace(PATIENT, total_s=0.4)
"""The same where no exchange ends well."""


def sms(to: str = PERSON, delivery_id: str = "dlv_1-1") -> SendRequest:
    """A request for one person's code."""
    return build_send(
        "long_code",
        to=to,
        text="123456 is your code",
        sender="+18445550001",
        messaging_profile_id=None,
        webhook_url=HOOK + delivery_id,
    )


def to(number: object, message_id: str = "m-1", **more: object) -> dict[str, object]:
    """The carrier's answer about a message to this number."""
    found = message(message_id)
    found["data"] |= {"to": [{"phone_number": number, "status": "queued"}], **more}
    return found


def dripping(*pieces: bytes, every_s: float = 0.05) -> Script:
    """Sends the first piece, then the others one after the other, the last one again and again."""

    def script(server: Misbehaving, connection: socket.socket) -> None:
        server.read_request(connection)
        rest = list(pieces)
        while not server.released.wait(every_s):
            connection.sendall(rest.pop(0) if len(rest) > 1 else rest[0])

    return script


def never_reads(server: Misbehaving, connection: socket.socket) -> None:
    """A window that opens a little at a time: each single write goes on."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while not server.released.wait(0.05):
        connection.recv(4096)


PHASES = {
    "status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "header name": dripping(b"HTTP/1.1 200 OK\r\nX-", b"a"),
    "many headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "100 Continue": dripping(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 Early Hints": dripping(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunks": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk size": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n"),
    "until the end": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "reading the request": never_reads,
}


@pytest.mark.parametrize("phase", PHASES)
def test_one_deadline_covers_every_phase_of_an_exchange(phase: str) -> None:
    """However often a byte comes, after the total time the outcome is unknown: the request may have arrived."""
    request = SendRequest(GENERIC, b" " * 20_000_000) if phase == "reading the request" else sms()
    with Misbehaving(PHASES[phase]) as server, TelnyxClient("KEY", server.base_url, timeouts=HASTY) as client:
        before = time.monotonic()
        assert isinstance(client.send(request, idempotency_key="k"), Unknown)
        assert 0.9 * HASTY.total_s < time.monotonic() - before < 30.0, "one step's time is 60 s"


@pytest.mark.parametrize("piece", [b"\x16\x03\x03\x40\x00", b"\x15"])
def test_the_deadline_covers_the_handshake_of_tls(piece: bytes) -> None:
    """A server that drips its half of the handshake has certainly not read the request."""

    def script(server: Misbehaving, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(piece)
        while not server.released.wait(0.05):
            connection.sendall(b"\x02")

    with (
        Misbehaving(script) as server,
        TelnyxClient("KEY", f"https://127.0.0.1:{server.port}/v2", timeouts=HASTY) as client,
    ):
        before = time.monotonic()
        assert isinstance(client.send(sms(), idempotency_key="k"), NotSent)
        assert time.monotonic() - before < 30.0


def test_a_request_has_its_answer_while_the_outbox_waits_for_it() -> None:
    """What the outbox gives up as lost is over in the worker by then."""
    assert DEFAULT_TIMEOUTS.total_s * 1000 < UNDER_WAY_MS


def test_each_exchange_on_a_connection_has_the_whole_time() -> None:
    """The deadline begins with the request, not with the connection."""
    with (
        Misbehaving(answering(response(200, message()))) as server,
        TelnyxClient("KEY", server.base_url, timeouts=replace(PATIENT, total_s=2.0)) as client,
    ):
        for pause_s in (1.1, 1.1, 0):
            assert isinstance(client.send(sms(), idempotency_key="k"), Accepted)
            time.sleep(pause_s)
        assert server.connections == 1


def test_the_connect_time_is_for_all_addresses_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with many addresses that do not answer does not multiply the time before a code leaves too late."""
    hosts = [f"192.0.2.{n}" for n in range(1, 9)]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 9)) for host in hosts]
    waited: list[float] = []

    def refuse(address: tuple[str, int], timeout: float, **_: object) -> socket.socket:
        waited.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with TelnyxClient("KEY", "http://carrier.test:9/v2") as client:
        assert isinstance(client.send(sms(), idempotency_key="k", within_s=2.0), NotSent)
    assert len(waited) == len(hosts)
    assert sum(waited) <= 1.0 + 1e-9


def test_a_name_server_that_does_not_answer_costs_the_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has left then."""
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])
    try:
        with TelnyxClient("KEY", "http://carrier.test:9/v2", timeouts=Timeouts(connect_s=0.1)) as client:
            assert client.send(sms(), idempotency_key="k") == NotSent("no connection (ConnectTimeout)")
    finally:
        released.set()


# ---- whose answer -------------------------------------------------------------------------------------------------


def outcome_of(answer: object, request: SendRequest) -> SendOutcome:
    """What one answer means for this request."""
    with (
        Misbehaving(answering(response(200, answer))) as server,  # type: ignore[arg-type]
        TelnyxClient("KEY", server.base_url) as client,
    ):
        return client.send(request, idempotency_key="k")


@pytest.mark.parametrize(
    "answer",
    [
        to(OTHER),
        to(""),
        to(None),
        to({"phone_number": OTHER}),
        to(PERSON, to=[]),
        to(PERSON, to=OTHER),
        to(PERSON, to=[PERSON, OTHER]),
        to(PERSON, to=[{"phone_number": PERSON}, {"phone_number": OTHER}]),
        to("+2025550143"),
        to(PERSON, webhook_url=HOOK + "dlv_2-1"),
        to(PERSON, webhook_url=HOOK + "dlv_1-2"),
    ],
)
def test_a_response_about_another_message_is_ignored(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    """Another recipient, none, one more, another delivery: the outcome is unknown. The log shows no number."""
    assert isinstance(outcome_of(answer, sms()), Unknown)
    assert "the carrier answered about another message" in caplog.messages
    assert OTHER not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        to(PERSON),
        to(PERSON, to=PERSON),
        to(PERSON, to=[PERSON]),
        to("+1 202-555-0143"),
        to("12025550143"),
        to(PERSON, webhook_url=HOOK + "dlv_1-1"),
        to(PERSON, webhook_url=HOOK.replace("otp.example", "OTP.example:443") + "dlv_1-1"),
        to(PERSON, webhook_url="https://elsewhere.example/"),
        to(PERSON, webhook_url=None),
    ],
)
def test_a_response_about_our_message_counts(answer: object) -> None:
    """However the carrier writes the recipient, and whatever else it says of the webhook address."""
    assert isinstance(outcome_of(answer, sms()), Accepted)


def test_both_spellings_of_a_handset_are_one_recipient() -> None:
    """A Mexican mobile number may come back with or without the old 1."""
    assert isinstance(outcome_of(to("+525512345678"), sms("+5215512345678")), Accepted)
    assert isinstance(outcome_of(to("+5215512345678"), sms("+525512345678")), Accepted)


def test_a_group_is_named_by_any_of_its_people() -> None:
    """A message to several is ours if it names some of them and nobody else."""
    group = build_group_mms(sender="+18445550001", to=[PERSON, OTHER], text="Alert")
    for named, ours in (([PERSON], True), ([OTHER, PERSON], True), ([PERSON, "+12025550145"], False), ([], False)):
        assert isinstance(outcome_of(to(PERSON, to=named), group), Accepted if ours else Unknown)


def test_a_retrieved_message_counts_by_its_id_only() -> None:
    """An answer about another message than the one asked for is none."""
    with (
        Misbehaving(answering(response(200, to(PERSON, "m-2")))) as server,
        TelnyxClient("KEY", server.base_url) as client,
    ):
        with pytest.raises(UnknownOutcomeError):
            client.retrieve("m-1")
        assert client.retrieve("M-2") is not None
        assert server.connections == 2


# ---- bytes that nobody asked for ----------------------------------------------------------------------------------


def twice(first: bytes, second: bytes) -> Script:
    """Answers the first request with two answers in one piece, and each later one properly."""
    answers = [first + second]

    def script(server: Misbehaving, connection: socket.socket) -> None:
        while server.read_request(connection):
            count = len(server.requests)
            connection.sendall(answers.pop() if answers else response(200, to(PERSON, f"m-{count}")))

    return script


SECONDS = {
    "an answer": response(200, to(PERSON, "m-x")),
    "an answer to another": response(200, to(OTHER, "m-x")),
    "a refusal": response(403, {"errors": [{"code": "10009", "title": "x"}]}),
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-",
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a blank line": b"\r\n",
    "one byte": b"x",
    "a page": b"<html>",
}


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("first", [response(200, to(PERSON, "m-1")), response(429), response(500)])
def test_what_is_left_over_after_an_answer_is_no_answer(first: bytes, second: str) -> None:
    """The connection is closed, and the next request gets its own answer, over a new one."""
    with (
        Misbehaving(twice(first, SECONDS[second])) as server,
        TelnyxClient("KEY", server.base_url) as client,
    ):
        client.send(sms(), idempotency_key="k")
        for count in (2, 3):
            outcome = client.send(sms(delivery_id=f"dlv_{count}-1"), idempotency_key="k")
            assert outcome == Accepted(f"m-{count}", "queued", 0.5)
        assert server.connections == 2


def test_what_comes_later_is_no_answer_either() -> None:
    """An answer that comes between two requests closes the connection as well."""

    read, late = threading.Event(), threading.Event()

    def script(server: Misbehaving, connection: socket.socket) -> None:
        while server.read_request(connection):
            count = len(server.requests)
            connection.sendall(response(200, to(PERSON, f"m-{count}")))
            if count == 1:
                read.wait(60)
                connection.sendall(response(200, to(PERSON, "m-x")))
                late.set()

    with Misbehaving(script) as server, TelnyxClient("KEY", server.base_url) as client:
        assert client.send(sms(), idempotency_key="k") == Accepted("m-1", "queued", 0.5)
        read.set()
        assert late.wait(60)
        assert client.send(sms(), idempotency_key="k") == Accepted("m-2", "queued", 0.5)


@pytest.mark.parametrize("early", [response(200, to(PERSON, "m-x")), b""])
def test_what_comes_before_the_request_is_no_answer(early: bytes) -> None:
    """A server that sends first, or hangs up, is not asked: nothing was sent."""

    def script(_: Misbehaving, connection: socket.socket) -> None:
        connection.sendall(early)

    with Misbehaving(script) as server:
        deadline = Deadline(0.0)
        deadline.begin(10.0)
        stream = connect(httpcore.SyncBackend(), ["127.0.0.1"], server.port, deadline, 10.0)
        select.select([stream.get_extra_info("socket")], [], [], 10)
        with pytest.raises(httpcore.ConnectError):
            stream.write(b"POST /v2/messages HTTP/1.1\r\n")
        assert server.requests == []


def test_over_tls_a_connection_is_kept_until_something_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS's own messages after the handshake (tickets) are no answer; a second answer is."""
    server_tls, trusting = certificate(tmp_path, "localhost")
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **_: trusting)

    def script(server: Misbehaving, connection: socket.socket) -> None:
        with server_tls.wrap_socket(connection, server_side=True) as talking:
            while server.read_request(talking):
                extra = response(200, to(PERSON, "m-x")) if len(server.requests) == 3 else b""
                talking.sendall(response(200, to(PERSON, f"m-{len(server.requests)}")) + extra)

    with Misbehaving(script) as server, TelnyxClient("KEY", f"https://localhost:{server.port}/v2") as client:
        for count in range(1, 6):
            assert client.send(sms(), idempotency_key="k") == Accepted(f"m-{count}", "queued", 0.5)
            assert server.connections == (1 if count <= 3 else 2)


def test_after_an_answer_about_another_message_the_connection_is_new() -> None:
    """Answers that are out of step stay so on this connection; on the next one each is the request's own."""

    def script(server: Misbehaving, connection: socket.socket) -> None:
        while server.read_request(connection):
            number = OTHER if len(server.requests) == 1 else PERSON
            connection.sendall(response(200, to(number, f"m-{len(server.requests)}")))

    with Misbehaving(script) as server, TelnyxClient("KEY", server.base_url) as client:
        assert isinstance(client.send(sms(), idempotency_key="k"), Unknown)
        assert isinstance(client.send(sms(), idempotency_key="k"), Accepted)
        assert isinstance(client.send(sms(), idempotency_key="k"), Accepted)
        assert server.connections == 2
