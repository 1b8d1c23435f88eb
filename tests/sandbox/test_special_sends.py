"""Scheduling and cancelling, group MMS, WhatsApp."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from tests.sandbox.conftest import (
    BACKUP,
    KEY,
    PERSON,
    PROFILE,
    ManualClock,
    Receiver,
    chaos,
    code_of,
    eventually,
    inbox,
    reply,
)

# -- schedule -----------------------------------------------------------------------------------------------


def _at(clock: ManualClock, seconds: float) -> str:
    return datetime.fromtimestamp(clock.now() + seconds, UTC).isoformat()


def _schedule(
    api: httpx.Client, clock: ManualClock, ahead_s: float, path: str = "/v2/messages/schedule"
) -> httpx.Response:
    body = {"from": BACKUP, "to": PERSON, "text": "later", "send_at": _at(clock, ahead_s)}
    return api.post(path, json=body)


@pytest.mark.parametrize("path", ["/v2/messages/schedule", "/v2/messages"])
def test_a_scheduled_message_leaves_when_due(
    carrier: Carrier, api: httpx.Client, clock: ManualClock, path: str
) -> None:
    """Both paths schedule; the message waits as `scheduled`, and arrives when its time has come."""
    message = _schedule(api, clock, 600, path).json()["data"]
    assert message["to"][0]["status"] == "scheduled"
    assert message["send_at"].endswith("Z")
    clock.advance(599)
    carrier.scheduler.wake()
    assert inbox(api) == []
    clock.advance(2)
    carrier.scheduler.wake()
    eventually(lambda: _status(api, message["id"]) == "sent")
    clock.advance(1)
    carrier.scheduler.wake()
    (arrived,) = eventually(lambda: inbox(api))
    assert arrived["id"] == message["id"]


def _status(api: httpx.Client, message_id: str) -> str:
    return str(api.get(f"/v2/messages/{message_id}").json()["data"]["to"][0]["status"])


@pytest.mark.parametrize(
    ("ahead_s", "status"), [(299, 422), (300, 200), (5 * 86400, 200), (5 * 86400 + 1, 422), (-60, 422)]
)
def test_five_minutes_to_five_days(api: httpx.Client, clock: ManualClock, ahead_s: float, status: int) -> None:
    """send_at lies at least 5 minutes and at most 5 days ahead."""
    answer = _schedule(api, clock, ahead_s)
    assert answer.status_code == status
    if status != 200:
        assert code_of(answer) == "10033"


@pytest.mark.parametrize("send_at", [None, "", "tomorrow", "2026-13-01T00:00:00Z", "99999-01-01"])
def test_schedule_needs_a_time(api: httpx.Client, send_at: str | None) -> None:
    """A time that is missing or none is a 422."""
    body = {"from": BACKUP, "to": PERSON, "text": "later", "send_at": send_at}
    assert api.post("/v2/messages/schedule", json=body).status_code == 422


def test_cancel(carrier: Carrier, api: httpx.Client, clock: ManualClock) -> None:
    """Cancelling answers the bare message, and the message never leaves."""
    message_id = _schedule(api, clock, 600).json()["data"]["id"]
    answer = api.delete(f"/v2/messages/{message_id}")
    assert answer.status_code == 200
    assert answer.json()["id"] == message_id
    assert answer.json()["to"][0]["status"] == "cancelled"
    assert answer.json()["cost"]["amount"] == "0.0"
    clock.advance(700)
    carrier.scheduler.wake()
    assert _status(api, message_id) == "cancelled"
    assert inbox(api) == []
    assert api.delete(f"/v2/messages/{message_id}").status_code == 403


def test_cancel_ends_a_minute_before(api: httpx.Client, clock: ManualClock) -> None:
    """Cancelling needs more than a minute; then it is 403, both as an envelope and as a bare error."""
    message_id = _schedule(api, clock, 600).json()["data"]["id"]
    clock.advance(540)
    answer = api.delete(f"/v2/messages/{message_id}")
    assert (answer.status_code, code_of(answer), answer.json()["code"]) == (403, "10010", "10010")
    clock.advance(-1)
    assert api.delete(f"/v2/messages/{message_id}").status_code == 200


def test_only_scheduled_messages_can_be_cancelled(api: httpx.Client) -> None:
    """A sent message is 403, an unknown or inbound one 404."""
    sent = api.post("/v2/messages", json={"from": BACKUP, "to": PERSON, "text": "x"}).json()["data"]["id"]
    assert api.delete(f"/v2/messages/{sent}").status_code == 403
    unknown = api.delete("/v2/messages/00000000-0000-4000-8000-000000000000")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "10005")
    assert api.delete(f"/v2/messages/{reply(api, 'hi').json()['id']}").status_code == 404


def test_an_optout_in_the_meantime_stops_it(carrier: Carrier, api: httpx.Client, clock: ManualClock) -> None:
    """Who opts out before a message is due does not get it."""
    message_id = _schedule(api, clock, 600).json()["data"]["id"]
    reply(api, "STOP")
    before = len(inbox(api))
    clock.advance(601)
    carrier.scheduler.wake()
    eventually(lambda: _status(api, message_id) == "sending_failed")
    message = api.get(f"/v2/messages/{message_id}").json()["data"]
    assert [error["code"] for error in message["errors"]] == ["40300"]
    assert len(inbox(api)) == before


# -- group MMS ----------------------------------------------------------------------------------------------

ON_CALL = ["+13125550101", "+14165550102", "+12125550103"]


def _group(client: httpx.Client, to: Any, **more: Any) -> httpx.Response:
    return client.post("/v2/messages/group_mms", json={"from": BACKUP, "to": to, "text": "alert", **more})


def test_a_group_is_one_message_with_a_final_event_each(http: httpx.Client, receiver: Receiver) -> None:
    """Every recipient's phone rings and has a finalized event of its own, tied by group_message_id."""
    group = _group(http, ON_CALL).json()["data"]
    assert group["type"] == "MMS"
    assert [recipient["phone_number"] for recipient in group["to"]] == ON_CALL
    eventually(lambda: len(receiver.of("message.finalized")) == 3)
    finals = receiver.of("message.finalized")
    assert {post.data["payload"]["group_message_id"] for post in finals} == {group["group_message_id"]}
    assert sorted(post.data["payload"]["to"][0]["phone_number"] for post in finals) == sorted(ON_CALL)
    assert all(len(inbox(http, phone)) == 1 for phone in ON_CALL)
    whole = http.get(f"/v2/messages/{group['id']}").json()["data"]
    assert [recipient["status"] for recipient in whole["to"]] == ["delivered"] * 3
    assert whole["completed_at"] is not None


@pytest.mark.parametrize(
    ("to", "pointer"),
    [
        ([f"+1312555010{i}" for i in range(9)], "/to"),
        (["+13125550101", "+13125550101"], "/to"),
        (["+13125550101", "+447700900123"], "/to/1"),
        (["+18765550123"], "/to/0"),
        (["nobody"], "/to/0"),
    ],
)
def test_group_limits(api: httpx.Client, to: list[str], pointer: str) -> None:
    """At most eight different recipients, in the US and Canada only."""
    answer = _group(api, to)
    assert (answer.status_code, code_of(answer)) == (400, "40310")
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}


@pytest.mark.parametrize("to", [[], None, "+13125550101", [1]])
def test_a_group_needs_a_list(api: httpx.Client, to: Any) -> None:
    """`to` must be a list of numbers, and not empty."""
    assert _group(api, to).status_code == 422


def test_a_group_needs_content_and_a_number(api: httpx.Client) -> None:
    """No text and no media is 40316; a short code cannot send to a group."""
    assert code_of(_group(api, ON_CALL, text="")) == "40316"
    assert code_of(api.post("/v2/messages/group_mms", json={"from": "12345", "to": ON_CALL, "text": "x"})) == "40305"


def test_one_optout_stops_the_group(api: httpx.Client) -> None:
    """A group with an opted-out member is refused as a whole, and the member is pointed at."""
    reply(api, "STOP", phone=ON_CALL[1])
    answer = _group(api, ON_CALL)
    assert code_of(answer) == "40300"
    assert answer.json()["errors"][0]["source"] == {"pointer": "/to/1"}
    assert inbox(api, ON_CALL[0]) == []


# -- WhatsApp -----------------------------------------------------------------------------------------------

OTP = {
    "type": "template",
    "template": {
        "name": "otp_code",
        "language": {"policy": "deterministic", "code": "en_US"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "123456"}]},
            {"type": "button", "sub_type": "url", "index": 0, "parameters": [{"type": "text", "text": "123456"}]},
        ],
    },
}


def _whatsapp(client: httpx.Client, body: Any = OTP, **more: Any) -> httpx.Response:
    message = {"from": BACKUP, "to": PERSON, "type": "WHATSAPP", "whatsapp_message": body}
    return client.post("/v2/messages/whatsapp", json=message | more)


def test_a_template_arrives_with_the_code_once(http: httpx.Client, receiver: Receiver) -> None:
    """The person reads the code once; answer and events carry the body that was sent."""
    sent = _whatsapp(http).json()["data"]
    assert (sent["type"], sent["encoding"], sent["body"]) == ("WHATSAPP", "utf-8", OTP)
    (message,) = eventually(lambda: inbox(http))
    assert message["text"].count("123456") == 1
    (final,) = eventually(lambda: receiver.of("message.finalized"))
    assert final.data["payload"]["body"] == OTP
    assert final.status == "delivered"


def test_a_sender_without_sms_needs_its_profile(api: httpx.Client) -> None:
    """A WhatsApp number that is no SMS number is known by the profile that comes with it."""
    assert code_of(_whatsapp(api, **{"from": "+15551234567"})) == "40305"
    assert _whatsapp(api, **{"from": "+15551234567", "messaging_profile_id": PROFILE}).status_code == 200
    assert code_of(_whatsapp(api, **{"from": "Acme", "messaging_profile_id": PROFILE})) == "40305"


@pytest.mark.parametrize(
    "body",
    [
        None,
        "text",
        {},
        {"type": "fax"},
        {"type": ["template"]},
        {"type": "template"},
        {"type": "template", "template": {}},
        {"type": "template", "template": {"name": "x"}},
        {"type": "template", "template": {"template_id": "x", "components": {}}},
        {"type": "template", "template": {"template_id": "x", "components": [{"type": "body", "parameters": 5}]}},
        {"type": "text", "text": {"body": ""}},
        {"type": "text", "text": "hi"},
    ],
)
def test_malformed_bodies(api: httpx.Client, body: Any) -> None:
    """A body that is not well formed is a 422."""
    assert _whatsapp(api, body).status_code == 422


def test_free_text_needs_the_person_to_have_written(receiver: Receiver) -> None:
    """Free text is delivered within a day of the person's last message, and fails with 40008 otherwise."""
    clock = ManualClock()
    carrier = Carrier(clock=clock, webhook_url=receiver.url)
    free = {"type": "text", "text": {"body": "hello"}}
    with httpx.Client(
        transport=httpx.WSGITransport(create_app(carrier)), base_url="http://sandbox", headers=KEY
    ) as api:
        chaos(api, delivery={"delay_ms": 0})

        def ends(outcome: str) -> bool:
            receiver.posts.clear()
            _whatsapp(api, free)
            (final,) = eventually(lambda: receiver.of("message.finalized"))
            return final.status == outcome

        assert ends("delivery_failed")
        reply(api, "hi")
        eventually(lambda: receiver.of("message.received"))
        assert ends("delivered")
        clock.advance(24 * 3600 + 1)
        assert ends("delivery_failed")
    carrier.close()


def test_an_sms_stop_leaves_whatsapp_alone(api: httpx.Client) -> None:
    """The block rules are those of SMS."""
    reply(api, "STOP")
    assert _whatsapp(api).status_code == 200
