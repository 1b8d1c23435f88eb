"""The service's client reads and verifies the webhooks of the sandbox."""

from collections.abc import Callable, Iterator
from time import time
from typing import Any

import httpx
import pytest

from otp_service.domain.delivery import Accepted, Action
from otp_service.sandbox.server import SandboxServer
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.responses import InboundMessage
from otp_service.telnyx.signatures import Verdict, parse_public_key, verify
from otp_service.telnyx.webhooks import DeliveryUpdate, Inbound, parse
from tests.conftest import wait_until

from .sandbox_carrier import PERSON, PROFILE, TOLL_FREE, SandboxCarrier, sms
from .webhook_receiver import WebhookReceiver, listening


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A server that keeps every webhook."""
    with listening() as made:
        yield made


def judge(sandbox: SandboxCarrier, entry: tuple[dict[str, str], bytes]) -> Verdict:
    """The verdict on one webhook, by the clock of now."""
    headers, body = {name.lower(): value for name, value in entry[0].items()}, entry[1]
    timestamp, signature = headers["telnyx-timestamp"], headers["telnyx-signature-ed25519"]
    return verify([sandbox.public_key], timestamp=timestamp, signature=signature, body=body, now_s=time())


def events_of(sandbox: SandboxCarrier, receiver: WebhookReceiver, kind: Callable[[Any], bool]) -> list[Any]:
    """The genuine events of a kind so far."""
    genuine = [entry for entry in list(receiver.received) if judge(sandbox, entry) is Verdict.OK]
    return [event for event in (parse(body) for _, body in genuine) if kind(event)]


def test_a_delivery_is_reported_by_genuine_webhooks(sandbox: SandboxCarrier, receiver: WebhookReceiver) -> None:
    """The sandbox's webhooks verify, name our delivery, and report `sent` and `delivered`; forged ones are detected."""
    sandbox.chaos(webhooks={"forge_rate": 1.0})
    outcome = sandbox.client.send(sms(webhook_url=f"{receiver.url}/dlv_1"), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)

    def reports() -> dict[str, Any]:
        updates = events_of(sandbox, receiver, lambda event: isinstance(event, DeliveryUpdate))
        return {update.reports[0].status: update.reports[0] for update in updates}

    wait_until(lambda: {"sent", "delivered"} <= set(reports()), what="the webhooks")
    assert {(r.message_id, r.delivery_id, r.to) for r in reports().values()} == {(outcome.message_id, "dlv_1", PERSON)}
    wait_until(lambda: len(receiver.received) >= 4, what="the forged webhooks")
    assert {judge(sandbox, entry) for entry in receiver.received} == {Verdict.OK, Verdict.BAD_SIGNATURE}


def test_a_failure_is_reported_with_its_code(sandbox: SandboxCarrier, receiver: WebhookReceiver) -> None:
    """A failed delivery's webhook brings the carrier's code, and asking for the message says the same."""
    sandbox.chaos(delivery={"outcome": "delivery_failed", "error_code": "40001"})
    outcome = sandbox.client.send(sms(webhook_url=f"{receiver.url}/dlv_1"), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)

    def failed() -> Any:
        updates = events_of(sandbox, receiver, lambda event: isinstance(event, DeliveryUpdate))
        return next((r for update in updates for r in update.reports if r.status == "delivery_failed"), None)

    report = wait_until(failed, what="the failure")
    assert (report.error.code, report.error.action) == ("40001", Action.STOP_PERSON)
    asked = sandbox.client.retrieve(outcome.message_id)
    assert asked is not None
    assert (asked.status, asked.error, asked.delivery_id) == ("delivery_failed", report.error, "dlv_1")


def test_what_people_write_arrives(receiver: WebhookReceiver) -> None:
    """An inbound message comes as a genuine webhook with the carrier's judgement, and can be looked up."""
    with (
        SandboxServer(webhook_url=receiver.url) as server,
        TelnyxClient("KEY", f"{server.url}/v2") as client,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
    ):
        sandbox = SandboxCarrier(client, control, parse_public_key(server.public_key_b64))
        sandbox.reply(PERSON, "stop")
        sandbox.reply(PERSON, "That was not me")

        def messages() -> dict[str, Inbound]:
            return {e.text: e for e in events_of(sandbox, receiver, lambda event: isinstance(event, Inbound))}

        wait_until(lambda: len(messages()) == 2, what="the messages")
        assert {text: event.autoresponse_type for text, event in messages().items()} == {
            "stop": "STOP",
            "That was not me": None,
        }
        event = messages()["stop"]
        assert (event.from_number, event.to_number, event.messaging_profile_id) == (PERSON, TOLL_FREE, PROFILE)
        shown = client.show_message(event.message_id)
        assert isinstance(shown, InboundMessage)
        assert (shown.sender, shown.text) == (PERSON, "stop")
