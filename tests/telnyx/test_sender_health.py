"""How our numbers fare by the carrier's own ratios, sender by sender."""

from collections.abc import Iterator

import httpx
import pytest

from otp_service.domain.errors import CarrierUnavailable
from otp_service.domain.policy import Sender, SenderKind
from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.numbers import Health
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.gateway import ENOUGH, Gateway

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
POOL = Sender("pool", SenderKind.NUMBER_POOL, PROFILE, None, 1.0)
OWN = Sender("own", SenderKind.LONG_CODE, PROFILE, "+18445550001", 1.0)
NAME = Sender("name", SenderKind.ALPHANUMERIC, PROFILE, "Acme", 1.0)


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    """A sandbox in this process."""
    made = Carrier(api_key="KEY")
    yield made
    made.close()


def gateway(carrier: Carrier, key: str = "KEY") -> Gateway:
    """The way to it."""
    transport = httpx.WSGITransport(app=create_app(carrier))
    return Gateway(TelnyxClient(key, "http://sandbox.test/v2", transport=transport))


def fares(carrier: Carrier, number: str, *, sent: int, delivered: int, spam: int) -> None:
    """Let the carrier have these figures of a number."""
    found = carrier.numbers.get(number)
    assert found is not None
    found.health = Health(sent=sent, finished=sent, delivered=delivered, spam=spam)


def test_a_senders_ratios_are_its_numbers(carrier: Carrier) -> None:
    """A number's own; a pool's is the mean of its profile's numbers with enough messages."""
    fares(carrier, "+18445550001", sent=100, delivered=50, spam=10)
    fares(carrier, "+17755550100", sent=100, delivered=100, spam=0)
    fares(carrier, "+17755550101", sent=ENOUGH - 1, delivered=0, spam=ENOUGH - 1)
    ratios = gateway(carrier).health([POOL, OWN, NAME])
    assert ratios == {"own": (0.5, 0.1), "pool": (0.75, 0.05)}


def test_without_figures_nothing_is_said(carrier: Carrier) -> None:
    """A new account has none, and that is no bad figure."""
    assert gateway(carrier).health([POOL, OWN, NAME]) == {}


def test_a_carrier_without_an_answer_is_reported_as_unavailable(carrier: Carrier) -> None:
    """No exception of the client's crosses the port."""
    with pytest.raises(CarrierUnavailable):
        gateway(carrier, key="wrong").health([OWN])
