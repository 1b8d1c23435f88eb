"""What goes out as bytes, and what comes back as values."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.telnyx import wire
from otp_service.telnyx.wire import (
    BulkUpdate,
    InboundMessage,
    Number,
    OptOut,
    OutboundMessage,
    PageMeta,
    SendRequest,
    WhatsAppTemplate,
    build_group_mms,
    build_schedule,
    build_send,
    read_message,
)

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


@pytest.mark.parametrize("kind", sorted(wire.KINDS))
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
    """Requests and answers may stand in logs by accident."""
    values = [
        build("long_code"),
        build("whatsapp"),
        TEMPLATE,
        OutboundMessage.read({"id": "a", "to": [{"phone_number": PERSON}], "text": TEXT, "webhook_url": HOOK}),
        InboundMessage.read({"id": "a", "from": PERSON, "text": TEXT}),
        OptOut.read({"to": PERSON, "keyword": "STOP"}),
    ]
    assert None not in values
    for secret in (PERSON, PERSON[1:], "804519"):
        assert secret not in repr(values)


def test_a_group_message_goes_to_eight_at_most() -> None:
    """A group of nobody or of nine is refused before the carrier would."""
    request = build_group_mms(sender=OURS, to=[PERSON] * 8, text="Alarm", subject="S", media_urls=["https://x/a.png"])
    assert request.path == "/messages/group_mms"
    assert json.loads(request.body) == WITH_SENDER | {
        "to": [PERSON] * 8,
        "text": "Alarm",
        "subject": "S",
        "media_urls": ["https://x/a.png"],
    }
    for recipients in ([], [PERSON] * 9):
        with pytest.raises(ValueError, match="1 to 8"):
            build_group_mms(sender=OURS, to=recipients, text="Alarm")


def test_a_scheduled_message_names_an_unmistakable_time() -> None:
    """The time goes out in UTC, whatever zone it was given in, and a time without a zone is refused."""
    at = datetime(2026, 11, 23, 20, 0, tzinfo=timezone(timedelta(hours=1)))
    request = build_schedule(to=PERSON, text="Hi", send_at=at, sender=OURS)
    assert json.loads(request.body)["send_at"] == "2026-11-23T19:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        build_schedule(to=PERSON, text="Hi", send_at=at.replace(tzinfo=None), sender=OURS)
    with pytest.raises(ValueError, match="needs a sender"):
        build_schedule(to=PERSON, text="Hi", send_at=datetime.now(UTC))


def test_a_message_is_read_with_everything_it_has() -> None:
    """The published example comes out whole, and unknown members stay within reach."""
    body = {
        "id": "40385f64-5717-4562-b3fc-2c963f66afa6",
        "type": "SMS",
        "messaging_profile_id": PROFILE,
        "from": {"phone_number": OURS},
        "to": [{"phone_number": PERSON, "status": "queued", "carrier": "T-MOBILE", "line_type": "Wireless"}],
        "text": "Hello",
        "parts": 1,
        "wait_seconds": 0.5,
        "cost": {"amount": "0.0051", "currency": "USD"},
        "received_at": "2019-01-23T18:10:02.574Z",
        "sent_at": None,
        "errors": [{"code": "40008", "title": "Undeliverable"}, 7],
        "new_member": 1,
    }
    message = OutboundMessage.read(body)
    assert message is not None
    assert (message.sender, message.to[0].number, message.to[0].status) == (OURS, PERSON, "queued")
    assert (message.parts, message.wait_s, message.cost) == (1, 0.5, "0.0051")
    assert (message.received_ms, message.sent_ms) == (1_548_267_002_574, 0)
    assert [error.code for error in message.errors] == ["40008"]
    assert message.raw["new_member"] == 1


def test_both_forms_of_an_address_are_read() -> None:
    """Group messages show bare strings where others show objects."""
    for sender, to in ((OURS, PERSON), ({"phone_number": OURS}, [{"phone_number": PERSON}]), (OURS, [PERSON])):
        message = OutboundMessage.read({"id": "a", "from": sender, "to": to})
        assert message is not None
        assert (message.sender, message.to[0].number) == (OURS, PERSON)


@pytest.mark.parametrize("wait", [None, "0.5", True, -1, float("nan"), float("inf"), 10**400, []])
def test_an_unusable_wait_is_no_wait(wait: Any) -> None:
    """Only a number of seconds that is one counts."""
    message = OutboundMessage.read({"id": "a", "wait_seconds": wait})
    assert message is not None
    assert message.wait_s == 0.0


def test_the_direction_decides_what_a_message_is() -> None:
    """A message to us is not taken for one of ours."""
    ours = {"id": "a", "direction": "outbound", "from": OURS, "to": [PERSON]}
    assert isinstance(read_message(ours), OutboundMessage)
    assert isinstance(read_message(ours | {"direction": "inbound"}), InboundMessage)


@pytest.mark.parametrize(("told", "read"), [("toll-free", "tollfree"), ("tollfree", "tollfree"), (None, None)])
def test_a_number_has_one_spelling_of_its_type(told: Any, read: Any) -> None:
    """The carrier's two spellings become one."""
    number = Number.read({"id": "1", "type": told, "features": {"mms": None}})
    assert number is not None
    assert number.type == read
    assert not number.mms
    assert number.health is None


def test_a_number_tells_its_health() -> None:
    """Health and features come out typed."""
    health = {"message_count": 122, "inbound_outbound_ratio": 0.43, "success_ratio": 0.94, "spam_ratio": 0.06}
    number = Number.read(
        {"id": "1", "health": health, "features": {"mms": {"domestic_two_way": True}}, "tags": ["a", 1]}
    )
    assert number is not None
    assert number.health == wire.NumberHealth(122, 0.43, 0.94, 0.06)
    assert number.mms
    assert number.tags == ("a",)


def test_the_odd_time_of_an_opt_out_is_read() -> None:
    """The carrier writes it with a space, microseconds and an offset."""
    entry = OptOut.read({"to": PERSON, "created_at": "2025-04-28 12:00:38.631252+00:00"})
    assert entry is not None
    assert entry.created_ms == 1_745_841_638_631


def test_a_page_without_its_place_is_none() -> None:
    """All four numbers are required: a list that cannot be placed must not pass for complete."""
    good = {"total_pages": 1, "total_results": 1, "page_number": 1, "page_size": 20}
    assert PageMeta.read(good) == PageMeta(1, 20, 1, 1)
    for name in good:
        for bad in (None, "1", True, -1, 1.0, 2**70):
            assert PageMeta.read(good | {name: bad}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "to",
                    "from",
                    "type",
                    "status",
                    "errors",
                    "cost",
                    "amount",
                    "wait_seconds",
                    "health",
                    "features",
                    "mms",
                    "tags",
                    "order_id",
                    "success",
                    "text",
                    "received_at",
                    "webhook_url",
                    "source",
                    "pointer",
                    "code",
                    "phone_number",
                    "direction",
                ]
            ),
            inner,
            max_size=8,
        )
    ),
    max_leaves=30,
)


@given(JSON)
def test_no_answer_breaks_a_reader(value: object) -> None:
    """Whatever the carrier answers, a reader gives its value or None."""
    for reader in (OutboundMessage, InboundMessage, OptOut, Number, BulkUpdate, PageMeta, wire.Recipient):
        assert reader.read(value) is None or isinstance(reader.read(value), reader)
    assert isinstance(wire.receipts(value, 0), tuple)
