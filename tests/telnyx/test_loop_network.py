"""The carrier's client in an event loop: it waits without a thread, and is as strict as in threads."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from otp_service.connections import Deadline
from otp_service.domain.delivery import Accepted, NotSent, SendOutcome, Unknown
from otp_service.telnyx import loop_network
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.loop_network import LoopNetwork
from otp_service.telnyx.requests import GENERIC, SendRequest
from otp_service.telnyx.transport import DEFAULT_TIMEOUTS, Timeouts
from tests.conftest import wait_until
from tests.receivers.test_client import certificate
from tests.storage.loops import LoopThread
from tests.telnyx.clients import closed_port
from tests.telnyx.misbehaving import Misbehaving, Script, answering, message, response
from tests.telnyx.test_deadline import PATIENT, PHASES, sms


@pytest.fixture
def looping() -> Iterator[LoopThread]:
    """A loop."""
    with LoopThread() as thread:
        yield thread


def client_of(looping: LoopThread, base_url: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> TelnyxClient:
    """A client for work in the loop."""
    return TelnyxClient("KEY", base_url, timeouts=timeouts, network=LoopNetwork(looping.loop))


def send(client: TelnyxClient, request: SendRequest) -> SendOutcome:
    """Send once."""
    return client.send(request, idempotency_key="k")


def test_one_deadline_covers_every_phase_of_every_exchange(looping: LoopThread) -> None:
    """All of them at once, and a handshake of TLS: none holds up another."""
    requests = {"reading the request": SendRequest(GENERIC, b" " * 20_000_000)}
    servers = {phase: Misbehaving(script) for phase, script in PHASES.items()}
    # A dozen begin at once, as the first thing of their loop: each has to be connected in this time.
    timeouts = replace(PATIENT, total_s=3.0)
    begun = {}
    for phase, server in servers.items():
        server.__enter__()
        request = requests.get(phase, sms())
        begun[phase] = looping.begin(partial(send, client_of(looping, server.base_url, timeouts), request))
    dripping = f"https://127.0.0.1:{servers['header name'].port}/v2"
    handshake = looping.begin(partial(send, client_of(looping, dripping, timeouts), sms()))
    try:
        outcomes = {phase: type(future.result(90)) for phase, future in begun.items()}
        assert outcomes == dict.fromkeys(PHASES, Unknown)
        assert isinstance(handshake.result(90), NotSent)
    finally:
        for server in servers.values():
            server.__exit__(None, None, None)


def test_a_greenlet_keeps_its_connection(looping: LoopThread) -> None:
    """As a thread does. Others at the same time have their own."""
    with Misbehaving(answering(response(200, message()))) as server:
        client = client_of(looping, server.base_url)

        def thrice() -> list[SendOutcome]:
            return [send(client, sms()) for _ in range(3)]

        begun = [looping.begin(thrice) for _ in range(2)]
        outcomes = [outcome for future in begun for outcome in future.result(90)]
        assert {type(outcome) for outcome in outcomes} == {Accepted}
        assert server.connections == 2
        client.close()


def test_many_connections_at_once_ask_for_their_name_once(looping: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst opens dozens of connections; a thread for each of them would hold up the sends that go on."""
    monkeypatch.setattr(loop_network, "JOINED_S", 60.0)
    asked, may_answer = [], threading.Event()

    def ask(host: str, port: int) -> list[str]:
        asked.append((host, port))
        may_answer.wait(60)
        return ["127.0.0.1"]

    network = LoopNetwork(looping.loop, ask)

    def resolve(host: str) -> list[str]:
        return list(network.resolve(host, 443, Deadline(time.monotonic() + 60), None))

    begun = [looping.begin(partial(resolve, "carrier.example")) for _ in range(20)]
    wait_until(lambda: asked)
    may_answer.set()
    assert [future.result(60) for future in begun] == [["127.0.0.1"]] * 20
    assert asked == [("carrier.example", 443)]
    assert looping.begin(partial(resolve, "::1")).result(60) == ["::1"]
    assert asked == [("carrier.example", 443)]
    assert looping.begin(partial(resolve, "carrier.example")).result(60) == ["127.0.0.1"]
    assert len(asked) == 2, "an answer is not kept"


def test_a_question_that_may_be_lost_holds_up_nobody_who_asks_later(
    looping: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver waits for seconds before it repeats a question; the next one may be answered at once."""
    monkeypatch.setattr(loop_network, "JOINED_S", 0.0)
    may_answer = threading.Event()
    asked = []

    def ask(host: str, _port: int) -> list[str]:
        asked.append(host)
        if len(asked) == 1:
            may_answer.wait(60)
        return ["127.0.0.1"]

    network = LoopNetwork(looping.loop, ask)

    def resolve() -> list[str]:
        return list(network.resolve("carrier.example", 443, Deadline(time.monotonic() + 60), None))

    first = looping.begin(resolve)
    wait_until(lambda: asked and len(network._questions) == 1)
    assert looping.begin(resolve).result(60) == ["127.0.0.1"]
    assert not first.done()
    may_answer.set()
    assert first.result(60) == ["127.0.0.1"]


def over_tls(context: ssl.SSLContext, script: Script) -> Script:
    """The script behind TLS."""

    def wrapped(server: Misbehaving, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            script(server, secured)

    return wrapped


def test_tls(looping: LoopThread, tmp_path: Path) -> None:
    """A certificate that is trusted is taken, another ends the send before its request; a large request passes."""
    server_side, client_side = certificate(tmp_path, "localhost")
    with Misbehaving(over_tls(server_side, answering(response(200, message())))) as server:
        base_url = f"https://localhost:{server.port}/v2"
        trusting, other = client_of(looping, base_url), client_of(looping, base_url)
        trusting._transport._tls = client_side
        assert isinstance(looping.run(partial(send, trusting, sms())), Accepted)
        large = SendRequest(GENERIC, b'{"to":"+12025550143","text":"' + b"a" * 3_000_000 + b'"}')
        assert isinstance(looping.run(partial(send, trusting, large)), Accepted)
        assert isinstance(looping.run(partial(send, other, sms())), NotSent)
        trusting.close()


def test_nobody_is_there(looping: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nobody listens, and a name that nobody knows: nothing was sent."""
    with closed_port() as port:
        client = client_of(looping, f"http://127.0.0.1:{port}/v2")
        assert isinstance(looping.run(partial(send, client, sms())), NotSent)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert isinstance(looping.run(partial(send, client_of(looping, "http://carrier.invalid/v2"), sms())), NotSent)


def test_who_hangs_up_is_noticed(looping: LoopThread) -> None:
    """While nothing was read the answer is lost; a connection that ended in between is opened anew."""

    def once(server: Misbehaving, connection: socket.socket) -> None:
        if server.read_request(connection) and server.connections > 1:
            connection.sendall(response(200, message()))

    with Misbehaving(once) as server:
        client = client_of(looping, server.base_url)

        def has_ended(connections: int) -> bool:
            return server.ended == connections

        outcomes = []
        for number in (1, 2, 3):
            outcomes.append(looping.run(lambda: send(client, sms())))
            wait_until(partial(has_ended, number), 30, "the end of the connection")
        assert [type(outcome) for outcome in outcomes] == [Unknown, Accepted, Accepted]
        assert server.connections == 3
        client.close()
