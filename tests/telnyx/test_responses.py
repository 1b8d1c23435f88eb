"""What comes back from the carrier as values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.telnyx import responses
from otp_service.telnyx.responses import (
    BulkUpdate,
    InboundMessage,
    Number,
    OptOut,
    OutboundMessage,
    PageMeta,
    read_message,
)

PERSON = "+12025550143"
OURS = "+18445550001"
PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
TEXT = "804519 is your code"
HOOK = "https://otp.example/webhooks/telnyx/dlv_1"


def test_no_repr_shows_a_text_or_a_person() -> None:
    """Answers may stand in logs by accident."""
    values = [
        OutboundMessage.read({"id": "a", "to": [{"phone_number": PERSON}], "text": TEXT, "webhook_url": HOOK}),
        InboundMessage.read({"id": "a", "from": PERSON, "text": TEXT}),
        OptOut.read({"to": PERSON, "keyword": "STOP"}),
    ]
    assert None not in values
    for secret in (PERSON, PERSON[1:], "804519"):
        assert secret not in repr(values)


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


@pytest.mark.parametrize(
    ("told", "hook", "same"),
    [
        ([PERSON], HOOK, True),
        (["+1 (202) 555-0143"], HOOK, True),
        ([PERSON], HOOK + "?retry=1", True),
        ([PERSON], None, True),
        ([PERSON], "https://otp.example/other", True),
        ([PERSON], HOOK + "2", False),
        ([PERSON, OURS], HOOK, False),
        ([OURS], HOOK, False),
        ([], HOOK, False),
    ],
)
def test_an_answer_is_about_the_message_that_was_asked_for(told: list[str], hook: str | None, same: bool) -> None:
    """The same people and the same delivery, however numbers and addresses are written."""
    message = OutboundMessage.read({"id": "a", "to": [{"phone_number": one} for one in told], "webhook_url": hook})
    assert message is not None
    asked = f'{{"to":"{PERSON}","webhook_url":"{HOOK}"}}'.encode()
    assert responses.is_about(message, asked) is same


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


@pytest.mark.parametrize(("given", "read"), [("toll-free", "tollfree"), ("tollfree", "tollfree"), (None, None)])
def test_a_number_has_one_spelling_of_its_type(given: Any, read: Any) -> None:
    """The carrier's two spellings become one."""
    number = Number.read({"id": "1", "phone_number": OURS, "type": given, "features": {"mms": None}})
    assert number is not None
    assert number.type == read
    assert not number.mms
    assert number.health is None


def test_a_number_without_itself_is_none() -> None:
    """An entry that does not say which number it is about is none."""
    assert Number.read({"id": "1"}) is None
    assert Number.read({"phone_number": OURS}) is None


def test_a_number_has_its_health() -> None:
    """Health and features come out typed."""
    health = {"message_count": 122, "inbound_outbound_ratio": 0.43, "success_ratio": 0.94, "spam_ratio": 0.06}
    number = Number.read(
        {
            "id": "1",
            "phone_number": OURS,
            "health": health,
            "features": {"mms": {"domestic_two_way": True}},
            "tags": ["a", 1],
        }
    )
    assert number is not None
    assert number.health == responses.NumberHealth(122, 0.43, 0.94, 0.06)
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
    for reader in (OutboundMessage, InboundMessage, OptOut, Number, BulkUpdate, PageMeta, responses.Recipient):
        assert reader.read(value) is None or isinstance(reader.read(value), reader)
    assert isinstance(responses.reports(value, 0), tuple)
