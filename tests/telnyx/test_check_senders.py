"""What `doctor` says of the carrier: senders that cannot work and numbers with a low delivery ratio."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from otp_service.domain.policy import Sender, SenderKind, Template
from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.numbers import Health
from otp_service.telnyx.check_senders import check_senders
from otp_service.telnyx.client import TelnyxClient

PROFILE, OTHER = "abc85f64-5717-4562-b3fc-2c9600000000", "0c0ffee0-5717-4562-b3fc-2c9600000000"
TOLL_FREE, SHORT_CODE, MOBILE = "+18445550001", "12345", "+13127367407"


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    """A sandbox in this process."""
    made = Carrier(api_key="KEY")
    yield made
    made.close()


def lines(carrier: Carrier, *senders: Sender, key: str = "KEY", alerts_from: str | None = None) -> Any:
    """What is said of each thing."""
    transport = httpx.WSGITransport(app=create_app(carrier))
    with TelnyxClient(key, "http://sandbox.test/v2", transport=transport) as client:
        return {name: (ok, detail) for name, ok, detail in check_senders(client, senders, alerts_from)}


def sender(kind: SenderKind, address: str | None, profile: str = PROFILE) -> Sender:
    """A configured sender."""
    template = Template("otp_code") if kind is SenderKind.WHATSAPP else None
    return Sender("s", kind, profile, address, 20.0, template)


@pytest.mark.parametrize(
    ("configured", "part"),
    [
        (sender(SenderKind.LONG_CODE, TOLL_FREE), "in its profile"),
        (sender(SenderKind.SHORT_CODE, SHORT_CODE), "in its profile"),
        (sender(SenderKind.NUMBER_POOL, None), "11 numbers in the pool's profile"),
        (sender(SenderKind.ALPHANUMERIC, "Acme"), "the first send will show"),
        (sender(SenderKind.WHATSAPP, "+15551234567"), "the first send will show"),
        (sender(SenderKind.WHATSAPP, TOLL_FREE), "the first send will show"),
    ],
)
def test_a_sender_that_can_work_is_well(carrier: Carrier, configured: Sender, part: str) -> None:
    """Every kind of sender has its own way to be found."""
    ok, detail = lines(carrier, configured)["sender s"]
    assert ok, detail
    assert part in detail


@pytest.mark.parametrize(
    ("configured", "part"),
    [
        (sender(SenderKind.LONG_CODE, "+18445559999"), "no such number"),
        (sender(SenderKind.LONG_CODE, TOLL_FREE, OTHER), "another messaging profile"),
        (sender(SenderKind.LONG_CODE, "+18880000000"), "no messaging profile"),
        (sender(SenderKind.LONG_CODE, MOBILE), "no messaging profile"),
        (sender(SenderKind.LONG_CODE, SHORT_CODE), "shortcode"),
        (sender(SenderKind.SHORT_CODE, TOLL_FREE), "tollfree"),
        (sender(SenderKind.NUMBER_POOL, None, OTHER), "no numbers"),
        (sender(SenderKind.WHATSAPP, TOLL_FREE, OTHER), "another messaging profile"),
    ],
)
def test_a_sender_that_cannot_work_is_named(carrier: Carrier, configured: Sender, part: str) -> None:
    """With the reason, before the first person waits for a code in vain."""
    ok, detail = lines(carrier, configured)["sender s"]
    assert not ok
    assert part in detail


def test_a_mobile_number_is_found_among_the_mobile_ones(carrier: Carrier) -> None:
    """The carrier keeps them in a list of their own."""
    number = carrier.numbers.get(MOBILE)
    assert number is not None
    carrier.numbers.assign(number, PROFILE)
    ok, detail = lines(carrier, sender(SenderKind.LONG_CODE, MOBILE))["sender s"]
    assert ok
    assert "a mobile number" in detail


@pytest.mark.parametrize(
    ("health", "warned"),
    [
        (Health(sent=100, finished=100, delivered=97, spam=1), False),
        (Health(sent=100, finished=100, delivered=60, spam=0), True),
        (Health(sent=100, finished=100, delivered=90, spam=9), True),
    ],
)
def test_a_number_with_a_low_delivery_ratio_is_reported(carrier: Carrier, health: Health, warned: bool) -> None:
    """The figures stand in the line; it is a warning and no failure, for the configuration is right."""
    number = carrier.numbers.get(TOLL_FREE)
    assert number is not None
    number.health = health
    ok, detail = lines(carrier, sender(SenderKind.LONG_CODE, TOLL_FREE))["sender s"]
    assert ok
    assert ("WARNING" in detail) is warned
    assert "100 messages" in detail
    pool = lines(carrier, sender(SenderKind.NUMBER_POOL, None))["sender s"][1]
    assert (TOLL_FREE in pool) is warned


def test_a_few_messages_say_nothing(carrier: Carrier) -> None:
    """The first lost message does not cry wolf."""
    number = carrier.numbers.get(TOLL_FREE)
    assert number is not None
    number.health = Health(sent=3, finished=3, delivered=1)
    assert lines(carrier, sender(SenderKind.LONG_CODE, TOLL_FREE))["sender s"] == (
        True,
        "the number is there and in its profile",
    )


@pytest.mark.parametrize(
    ("number", "well"), [(TOLL_FREE, True), (SHORT_CODE, False), ("+18880000000", False), ("+18445559999", False)]
)
def test_who_writes_to_the_people_on_call(carrier: Carrier, number: str, well: bool) -> None:
    """A number that cannot send group messages would fail just when somebody is needed."""
    assert lines(carrier, alerts_from=number)["alerts"][0] is well


def test_a_wrong_key_is_all_there_is_to_say(carrier: Carrier) -> None:
    """Nothing is said of senders that could not be looked at."""
    assert lines(carrier, sender(SenderKind.LONG_CODE, TOLL_FREE), key="WRONG") == {
        "carrier": (False, "the carrier refuses the key (code 10009); check TELNYX_API_KEY")
    }
