"""Starts that wait for a risk hook hold up nobody: neither the loop nor what answers other requests."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

import pytest

from otp_service.receivers.risk import MOST, THREADS
from tests.conftest import wait_until
from tests.receivers.risk_receiver import RiskReceiver, risk_receiver

from .conftest import Request, Running, ServingThread, body_of, read_response
from .test_protocol import HEALTH, status_of


@pytest.fixture
def receiver() -> Iterator[RiskReceiver]:
    """The operator's system."""
    with risk_receiver() as running:
        yield running


@pytest.fixture
def hooked(front: Running, receiver: RiskReceiver) -> Iterator[Running]:
    """Another server over the same store, whose app `default` has the hook."""
    policy = front.settings.policy
    hook = receiver.hook(timeout_ms=60_000)
    apps = MappingProxyType({**policy.apps, "default": replace(policy.apps["default"], risk=hook)})
    settings = replace(front.settings, policy=replace(policy, apps=apps))
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ServingThread(settings, listening, front.chance) as thread,
    ):
        yield replace(front, port=listening.getsockname()[1], endpoints=thread.endpoints)


def sent(server: Running, number: int, app: str = "default") -> socket.socket:
    """A start that is on its way."""
    headers = {"Authorization": f"Bearer {server.key(app)}", "Content-Type": "application/json"}
    connection = server.connect()
    connection.settimeout(60)
    body = json.dumps({"to": f"+1202555{number:04d}"}).encode()
    connection.sendall(Request("POST", "/verify/start", body, headers).raw([], {}))
    return connection


def test_a_hook_that_hangs_holds_up_its_own_starts_alone(hooked: Running, receiver: RiskReceiver) -> None:
    """As many are under way as there are threads, more wait, one too many is not asked. Others are answered.

    Each start that waited is answered when the hook is.
    """
    receiver.hangs.set()
    waiting = []
    for number in range(MOST):
        # On a busy machine a crowd that comes at once, and first of all, would wait too long for the store.
        if number % 8 == 0:
            with sent(hooked, 5000 + number, "other") as earlier:
                assert status_of(read_response(earlier)) == 201
        waiting.append(sent(hooked, number))
    wait_until(lambda: len(receiver.asked) == THREADS, 30)
    with sent(hooked, 4000, "other") as other, hooked.connect() as health:
        health.sendall(HEALTH)
        assert (status_of(read_response(other)), status_of(read_response(health))) == (201, 200)
    with sent(hooked, 4001) as one_too_many:
        assert status_of(read_response(one_too_many)) == 201
    assert len(receiver.asked) == THREADS
    receiver.answer = {"decision": "deny"}
    receiver.hangs.clear()
    receiver.released.set()
    replies = [read_response(connection) for connection in waiting]
    assert {status_of(reply) for reply in replies} == {403}
    assert {json.loads(body_of(reply))["reason"] for reply in replies} == {"risk_denied"}
    assert len(receiver.asked) == MOST
    for connection in waiting:
        connection.close()
