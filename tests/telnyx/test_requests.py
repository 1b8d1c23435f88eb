"""What goes out as bytes."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from otp_service.telnyx import requests
from otp_service.telnyx.requests import SendRequest, WhatsAppTemplate, build_group_mms, build_schedule, build_send

PERSON = "+12025550143"
OURS = "+18445550001"
PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
HOOK = "https://otp.example/webhooks/telnyx/dlv_1"
TEXT = "804519 is your code"
TEMPLATE = WhatsAppTemplate("otp_code", "en_US", "804519", "dlv_1")


def build(kind: str, **more: Any) -> SendRequest:
    """A send by a sender that has everything; `more` takes things away."""
    given: dict[str, Any] = {"to": PERSON, "text": TEXT, "sender": OURS, "messaging_profile_id": PROFILE}
    return build_send(kind, **(given | {"webhook_url": HOOK, "whatsapp": TEMPLATE} | more))


SMS = {"to": PERSON, "text": TEXT, "webhook_url": HOOK}
WITH_SENDER, WITH_PROFILE = {"from": OURS}, {"messaging_profile_id": PROFILE}


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("generic", "/messages", SMS | WITH_SENDER | WITH_PROFILE),
        ("alphanumeric", "/messages", SMS | WITH_SENDER | WITH_PROFILE),
        ("long_code", "/messages/long_code", SMS | WITH_SENDER),
        ("short_code", "/messages/short_code", SMS | WITH_SENDER),
        ("number_pool", "/messages/number_pool", SMS | WITH_PROFILE),
    ],
)
def test_each_kind_of_sender_has_its_operation(kind: str, path: str, body: dict[str, Any]) -> None:
    """A send goes to the operation of its kind with exactly the members that operation declares."""
    request = build(kind)
    assert request.path == path
    assert json.loads(request.body) == body


def test_a_whatsapp_code_stands_in_text_and_button() -> None:
    """An authentication template gets the code twice, and nothing of the SMS text."""
    request = build("whatsapp")
    parameters = [{"type": "text", "text": "804519"}]
    assert request.path == "/messages/whatsapp"
    assert json.loads(request.body) == WITH_SENDER | WITH_PROFILE | {
        "to": PERSON,
        "type": "WHATSAPP",
        "webhook_url": HOOK,
        "whatsapp_message": {
            "type": "template",
            "biz_opaque_callback_data": "dlv_1",
            "template": {
                "name": "otp_code",
                "language": {"policy": "deterministic", "code": "en_US"},
                "components": [
                    {"type": "body", "parameters": parameters},
                    {"type": "button", "sub_type": "url", "index": 0, "parameters": parameters},
                ],
            },
        },
    }


@pytest.mark.parametrize("kind", sorted(requests.KINDS))
def test_the_same_send_is_the_same_bytes(kind: str) -> None:
    """Building twice gives one body to the byte, in UTF-8: the carrier compares them under a key."""
    assert build(kind, text="Dein Code: 804519 ✓") == build(kind, text="Dein Code: 804519 ✓")


def test_what_is_not_given_is_not_sent() -> None:
    """Absent members are left out instead of sent as null, which the carrier takes for a value in places."""
    request = build("generic", messaging_profile_id=None, webhook_url=None)
    assert json.loads(request.body) == {"to": PERSON, "from": OURS, "text": TEXT}


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("long_code", {"sender": None}),
        ("short_code", {"sender": ""}),
        ("alphanumeric", {"sender": None}),
        ("alphanumeric", {"messaging_profile_id": None}),
        ("number_pool", {"messaging_profile_id": None}),
        ("whatsapp", {"sender": None}),
        ("whatsapp", {"whatsapp": None}),
        ("whatsapp", {"whatsapp": WhatsAppTemplate("a", "en", "1" * 16)}),
        ("pigeon", {}),
    ],
)
def test_a_send_that_cannot_be_is_not_built(kind: str, missing: dict[str, Any]) -> None:
    """A sender without what its kind needs is found before anything is stored, and the sentence names no number."""
    with pytest.raises(ValueError, match=r".") as refusal:
        build(kind, **missing)
    assert PERSON not in str(refusal.value)


def test_no_repr_shows_a_text_a_code_or_a_person() -> None:
    """Requests may stand in logs by accident."""
    shown = repr([build("long_code"), build("whatsapp"), TEMPLATE])
    for secret in (PERSON, PERSON[1:], "804519"):
        assert secret not in shown


def test_a_group_message_goes_to_eight_at_most() -> None:
    """A group of nobody or of nine is refused before the carrier would."""
    request = build_group_mms(sender=OURS, to=[PERSON] * 8, text="Alert", subject="S", media_urls=["https://x/a.png"])
    assert request.path == "/messages/group_mms"
    assert json.loads(request.body) == WITH_SENDER | {
        "to": [PERSON] * 8,
        "text": "Alert",
        "subject": "S",
        "media_urls": ["https://x/a.png"],
    }
    for recipients in ([], [PERSON] * 9):
        with pytest.raises(ValueError, match="1 to 8"):
            build_group_mms(sender=OURS, to=recipients, text="Alert")


def test_a_scheduled_message_names_an_unmistakable_time() -> None:
    """The time goes out in UTC, whatever zone it was given in, and a time without a zone is refused."""
    at = datetime(2026, 11, 23, 20, 0, tzinfo=timezone(timedelta(hours=1)))
    request = build_schedule(to=PERSON, text="Hi", send_at=at, sender=OURS)
    assert json.loads(request.body)["send_at"] == "2026-11-23T19:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        build_schedule(to=PERSON, text="Hi", send_at=at.replace(tzinfo=None), sender=OURS)
    with pytest.raises(ValueError, match="needs a sender"):
        build_schedule(to=PERSON, text="Hi", send_at=datetime.now(UTC))
