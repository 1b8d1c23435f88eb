"""What the carrier's webhooks are read as. The bodies follow its published examples."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otp_service.domain.delivery import Action, DeliveryReport, Refused
from otp_service.telnyx.webhooks import (
    DeliveryUpdate,
    Event,
    Inbound,
    LinkClick,
    MalformedEvent,
    Other,
    SpendLimit,
    parse,
)

PERSON = "+13125550002"
OURS = "+13125550001"
MESSAGE = "ac012cbf-5e09-46af-a69a-7c0e2d90993c"
EVENT = "a1b2c3d4-5678-9012-abcd-ef1234567890"
AT = "2024-01-15T21:32:13.596+00:00"
AT_MS = 1_705_354_333_596


def outbound(status: str = "sent", **more: Any) -> dict[str, Any]:
    """The payload of a delivery update."""
    return {
        "record_type": "message",
        "direction": "outbound",
        "id": MESSAGE,
        "type": "SMS",
        "messaging_profile_id": "83d2343b-553f-4c5f-b8c8-fd27004f94bf",
        "from": {"phone_number": OURS, "carrier": "Telnyx", "line_type": "Wireless"},
        "to": [{"phone_number": PERSON, "status": status, "carrier": "T-MOBILE", "line_type": "Wireless"}],
        "text": "804519 is your code",
        "errors": [],
        "webhook_url": "https://otp.example/webhooks/telnyx/dlv_7",
        **more,
    }


def inbound(**more: Any) -> dict[str, Any]:
    """The payload of a message from a person."""
    return {
        "autoresponse_type": None,
        "direction": "inbound",
        "from": {"carrier": "T-Mobile USA", "line_type": "Wireless", "phone_number": PERSON},
        "id": MESSAGE,
        "messaging_profile_id": "400196d4-e32b-42c2-9654-190ffd5d9fb7",
        "text": "No thanks",
        "to": [{"carrier": "Telnyx", "phone_number": OURS, "status": "webhook_delivered"}],
        **more,
    }


def event(event_type: Any, payload: Any, **more: Any) -> bytes:
    """The raw body of a webhook."""
    data = {"event_type": event_type, "id": EVENT, "occurred_at": AT, "record_type": "event", "payload": payload}
    return json.dumps({"data": data | more, "meta": {"attempt": 1, "delivered_to": "https://a"}}).encode()


def the_report(body: bytes) -> DeliveryReport:
    """The only report of a delivery update."""
    update = parse(body)
    assert isinstance(update, DeliveryUpdate)
    (report,) = update.reports
    return report


def test_a_sent_message_is_a_report() -> None:
    """`message.sent` is about one message to one person, names our delivery, and keeps the carrier's status."""
    assert parse(event("message.sent", outbound())) == DeliveryUpdate(
        EVENT, "message.sent", AT_MS, (DeliveryReport(MESSAGE, PERSON, "sent", AT_MS, None, "dlv_7"),)
    )


def test_a_failed_message_brings_its_error() -> None:
    """`message.finalized` carries why it failed, judged as a report's error."""
    errors = [{"code": "40008", "title": "Undeliverable", "source": {"pointer": "/to/0/phone_number"}}]
    report = the_report(event("message.finalized", outbound("delivery_failed", errors=errors)))
    assert report.status == "delivery_failed"
    assert report.error == Refused("40008", "Undeliverable", Action.NEXT_SENDER)


def test_a_stop_in_a_report_is_an_opt_out() -> None:
    """A block that the carrier finds only later still counts as the person's STOP."""
    errors = [{"code": "40300", "title": "Blocked due to STOP message"}]
    report = the_report(event("message.finalized", outbound("sending_failed", errors=errors)))
    assert report.error is not None
    assert report.error.opted_out
    assert report.error.action is Action.STOP_PERSON


def test_a_delivered_message_has_no_error() -> None:
    """Troubles on the way do not matter once it has arrived."""
    errors = [{"code": "40006", "title": "Carrier down"}]
    assert the_report(event("message.finalized", outbound("delivered", errors=errors))).error is None


@pytest.mark.parametrize("status", ["delivered", "read", "sent", None])
def test_a_read_message_was_delivered(status: Any) -> None:
    """`message.read` counts as delivered whatever word stands beside the recipient."""
    assert the_report(event("message.read", outbound(status))).status == "read"


def test_a_group_message_has_a_report_each() -> None:
    """Every recipient has a status and an error of their own, found by the error's pointer."""
    to = [{"phone_number": PERSON, "status": "delivered"}, {"phone_number": OURS, "status": "delivery_failed"}, 17]
    to.append({"phone_number": "+13125550003", "status": "delivery_failed"})
    errors = [
        {"code": "40001", "title": "Landline", "source": {"pointer": "/to/1/phone_number"}},
        {"code": "40006", "title": "Down", "source": {"pointer": "/to/3"}},
    ]
    update = parse(event("message.finalized", outbound(to=to, errors=errors)))
    assert isinstance(update, DeliveryUpdate)
    found = {report.to: report.error.code if report.error else None for report in update.reports}
    assert found == {PERSON: None, OURS: "40001", "+13125550003": "40006"}


@pytest.mark.parametrize(
    ("url", "delivery_id"),
    [
        ("https://otp.example/webhooks/telnyx/dlv_7", "dlv_7"),
        ("https://otp.example/base/webhooks/telnyx/dlv_7?x=1#y", "dlv_7"),
        ("https://otp.example/webhooks/telnyx", None),
        ("https://otp.example/webhooks/telnyx/", None),
        ("https://otp.example/other/dlv_7", None),
        ("https://otp.example/webhooks/telnyx/a%20b", None),
        ("https://otp.example/webhooks/telnyx/" + "x" * 101, None),
        ("https://[/webhooks/telnyx/dlv_7", None),
        ("\ud800/webhooks/telnyx/dlv_7", None),
        (None, None),
        (7, None),
    ],
)
def test_the_delivery_is_named_by_the_signed_address(url: Any, delivery_id: str | None) -> None:
    """Only a webhook address of our own form, taken from the signed payload, names a delivery."""
    assert the_report(event("message.sent", outbound(webhook_url=url))).delivery_id == delivery_id


@pytest.mark.parametrize(
    ("occurred_at", "ms"),
    [
        ("2024-01-15T21:32:13.596Z", AT_MS),
        ("2024-01-15T22:32:13.596+01:00", AT_MS),
        ("2024-01-15 21:32:13.596", AT_MS),
        ("yesterday", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        ("9999-12-31T23:59:59-14:00", 253_402_351_199_000),
        (None, 0),
        (1_705_354_333, 0),
        ("2" * 100_000, 0),
    ],
)
def test_an_unreadable_time_spoils_nothing(occurred_at: Any, ms: int) -> None:
    """The time of an event is milliseconds, or 0 if it cannot be read; the event counts all the same."""
    assert the_report(event("message.sent", outbound(), occurred_at=occurred_at)).occurred_ms == ms


def test_what_a_person_wrote() -> None:
    """`message.received` gives both numbers, the text as written and the profile whose list a STOP belongs to."""
    assert parse(event("message.received", inbound())) == Inbound(
        EVENT, AT_MS, MESSAGE, PERSON, OURS, "400196d4-e32b-42c2-9654-190ffd5d9fb7", "No thanks", None
    )


@pytest.mark.parametrize("sender", [PERSON, {"phone_number": PERSON}])
def test_the_sender_may_be_a_bare_string(sender: Any) -> None:
    """Both forms of an address that the carrier uses are read."""
    message = parse(event("message.received", inbound(**{"from": sender})))
    assert isinstance(message, Inbound)
    assert message.from_number == PERSON


@pytest.mark.parametrize(
    ("given", "read"), [("STOP", "STOP"), ("start", "START"), (" HELP ", "HELP"), ("", None), (None, None), (7, None)]
)
def test_the_carrier_judges_what_is_a_stop(given: Any, read: str | None) -> None:
    """Whether a message was STOP, START or HELP is the carrier's own judgement, not ours from the text."""
    message = parse(event("message.received", inbound(autoresponse_type=given, text="STOP")))
    assert isinstance(message, Inbound)
    assert message.autoresponse_type == read


def test_half_an_emoji_does_not_lose_a_message() -> None:
    """A lone surrogate, which carriers cut out of emoji, becomes a replacement character."""
    message = parse(event("message.received", inbound(text="STOP \ud83d")))
    assert isinstance(message, Inbound)
    assert message.text == "STOP \ufffd"
    whole = parse(event("message.received", inbound(text="STOP \U0001f600")))
    assert isinstance(whole, Inbound)
    assert whole.text == "STOP \U0001f600"


CLICK = {
    "record_type": "link_clicked",
    "message_id": MESSAGE,
    "time_clicked": "2019-04-01T14:45:45.450Z",
    "to": "18445550001",
    "url": "https://telnyx.com",
}


def test_a_click_without_an_envelope_gets_a_stable_id() -> None:
    """The schema's click has no id, so the same click always gets the same one, and another click another."""
    first = parse(json.dumps({"data": CLICK}).encode())
    again = parse(json.dumps({"data": dict(reversed(CLICK.items()))}).encode())
    other = parse(json.dumps({"data": CLICK | {"url": "https://telnyx.org"}}).encode())
    assert isinstance(first, LinkClick)
    assert isinstance(other, LinkClick)
    assert first == again
    assert first.event_id != other.event_id
    assert (first.message_id, first.url, first.time_ms) == (MESSAGE, "https://telnyx.com", 1_554_129_945_450)


@pytest.mark.parametrize("payload", [CLICK, None])
def test_a_click_with_an_envelope_keeps_its_id(payload: Any) -> None:
    """The other form, with an event type, is the same click under the carrier's id."""
    click = parse(event("message.link_click", payload, **({} if payload else CLICK)))
    assert isinstance(click, LinkClick)
    assert click.event_id == EVENT
    assert click.message_id == MESSAGE


def test_a_spent_budget_is_reported() -> None:
    """A profile that has spent its day's money is named, with the amounts as the carrier writes them."""
    payload = {"configured_limit": "10.00", "current_cost": "10.02", "profile_id": "p1"}
    assert parse(event("messaging-profile.spend-limit-reached", payload)) == SpendLimit(
        EVENT, AT_MS, "p1", "10.00", "10.02"
    )


def test_a_long_event_id_is_hashed() -> None:
    """An event id is at most 200 plain characters; a longer or odder one is replaced by its digest."""
    for strange in ("x" * 201, "a b", "ü", "a\x00"):
        update = parse(event("message.sent", outbound(), id=strange))
        assert isinstance(update, DeliveryUpdate)
        assert len(update.event_id) == 71
        assert update.event_id.startswith("sha256:")
    update = parse(event("message.sent", outbound(), id="x" * 200))
    assert isinstance(update, DeliveryUpdate)
    assert update.event_id == "x" * 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"data"',
        b"{}",
        b'{"data":null}',
        b'{"data":[]}',
        b'{"data":"x"}',
        b'{"Data":{}}',
        b'{"data":{}} x',
        b'\xef\xbb\xbf{"data":{}}',
        '{"data":{}}'.encode("utf-16"),
        b'{"data":{"x":"\xff"}}',
        b'{"data":' * 100_000,
        b'{"data":{"payload":' + b"[" * 30_000 + b"]" * 30_000 + b"}}",
        b"9" * 60_000,
    ],
)
def test_what_is_no_object_with_data_is_malformed(body: bytes) -> None:
    """Not JSON in UTF-8, no object, no object `data`, or too deep to be read: malformed, and no other error."""
    with pytest.raises(MalformedEvent):
        parse(body)


GENUINE = event("message.sent", outbound())


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{}}',
        event("message.delivered", outbound()),
        event("message.sent", None),
        event("message.sent", []),
        event("message.sent", [outbound()]),
        event("message.sent", "x"),
        event("message.sent", {}),
        event("message.sent", outbound(id=None)),
        event("message.sent", outbound(id="a\ud800")),
        event("message.sent", outbound(to=[])),
        event("message.sent", outbound(to=[{"phone_number": 1, "status": "sent"}])),
        event("message.sent", outbound(status="\ud800")),
        event("message.sent", outbound(), id=None),
        event("message.sent", outbound(), id={}),
        event("message.sent", outbound(), id="\ud800"),
        event(["message.sent"], outbound()),
        event("message.sent\ud800", outbound()),
        event("x" * 60_000, outbound()),
        event("message.received", inbound(**{"from": None})),
        event("message.received", inbound(**{"from": []})),
        event("message.link_click", {"message_id": 1, "url": "x"}),
        GENUINE.replace(b'"sent"', b"9" * 5000),
        GENUINE.replace(b'"sent"', b"NaN"),
        GENUINE.replace(b'"attempt": 1', b'"attempt": ' + b"9" * 5000),
        GENUINE.replace(b'"attempt": 1', b'"attempt": NaN'),
        GENUINE.replace(b'"attempt": 1', b'"attempt": 1, "attempt": 2'),
        GENUINE.replace(b'"status": "sent"', b'"status": "sent", "status": "delivered"'),
        b'{"data":{"event_type":"message.sent"},' + GENUINE[1:],
    ],
)
def test_every_other_odd_event_is_acknowledged_and_does_nothing(body: bytes) -> None:
    """Unknown types, wrong shapes and ambiguous JSON are `Other`: answered, and without effect."""
    assert isinstance(parse(body), Other)


def test_an_unknown_event_keeps_its_name() -> None:
    """What is not understood can still be counted and recognised when repeated."""
    assert parse(event("message.new_thing", {})) == Other(EVENT, "message.new_thing")


@pytest.mark.parametrize(
    "body",
    [
        event("message.finalized", outbound("delivery_failed", errors=[{"code": "40008", "title": PERSON}])),
        event("message.received", inbound(text="804519 is your code")),
        json.dumps({"data": CLICK | {"to": PERSON, "url": "https://x/804519"}}).encode(),
        event("message.unknown", outbound()),
    ],
)
def test_no_repr_shows_a_text_or_a_number(body: bytes) -> None:
    """An event may stand in a log by accident."""
    shown = repr(parse(body))
    for secret in (PERSON, PERSON[1:], OURS, "804519"):
        assert secret not in shown


WORDS = st.sampled_from(
    [
        "event_type",
        "id",
        "payload",
        "to",
        "from",
        "status",
        "phone_number",
        "errors",
        "code",
        "record_type",
        "url",
        "message_id",
        "source",
        "pointer",
        "webhook_url",
        "text",
        "occurred_at",
        "time_clicked",
        "autoresponse_type",
    ]
)
TYPES = ["message.sent", "message.finalized", "message.received", "message.read", "message.link_click", "link_clicked"]
ODD_WORDS = [PERSON, "sent", "/to/", "/to/0/x", "40300", "\ud800", AT, "messaging-profile.spend-limit-reached"]
VALUES = st.sampled_from([*TYPES, *ODD_WORDS])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=30,
)


@given(st.dictionaries(WORDS, JSON, max_size=8), st.sampled_from(["sent", "finalized", "received", "read", "x"]))
def test_no_signed_event_breaks_the_reader(data: dict[str, Any], word: str) -> None:
    """Whatever stands in `data`, it is some event."""
    assert isinstance(parse(json.dumps({"data": data}).encode()), Event)
    assert isinstance(parse(event(f"message.{word}", data)), Event)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"data":{"id":1e999999}}')
@example(b'{"data":{"id":-0}}')
def test_no_body_breaks_the_reader(body: bytes) -> None:
    """Any bytes are an event or malformed; nothing else is ever raised."""
    with contextlib.suppress(MalformedEvent):
        assert isinstance(parse(body), Event)


@given(st.integers(0, len(GENUINE) - 1), st.integers(0, 255))
def test_no_flipped_byte_breaks_the_reader(position: int, byte: int) -> None:
    """A genuine body with one byte changed is an event or malformed."""
    body = GENUINE[:position] + bytes([byte]) + GENUINE[position + 1 :]
    with contextlib.suppress(MalformedEvent):
        assert isinstance(parse(body), Event)
