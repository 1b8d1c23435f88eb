"""Statuses of deliveries, the carrier's words for them, and the numbers that cannot be reached."""

import pytest

from otp_service.domain import failover, phone, routing
from otp_service.domain.audit import Position
from otp_service.domain.delivery import RANK, Action, DeliveryStatus, Refused, from_carrier
from otp_service.domain.policy import App, Channel, Sender, SenderKind


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *[(word, DeliveryStatus.SENT) for word in ("queued", "scheduled", "sending", "sent")],
        *[(word, DeliveryStatus.DELIVERED) for word in ("delivered", "read")],
        *[(word, DeliveryStatus.UNCONFIRMED) for word in ("delivery_unconfirmed", "dlr_timeout")],
        *[(word, DeliveryStatus.FAILED) for word in ("delivery_failed", "sending_failed", "failed")],
        *[(word, DeliveryStatus.FAILED) for word in ("gw_timeout", "expired", "cancelled")],
        *[(word, None) for word in ("SENT", "sent ", "received", "webhook_delivered", "unknown", "suppressed")],
    ],
)
def test_every_status_of_the_carrier_has_one_meaning(word: str, status: DeliveryStatus | None) -> None:
    """A word of the carrier's vocabulary moves a delivery to one place; any other changes nothing, not even ours."""
    assert from_carrier(word) is status


def test_what_the_carrier_says_outranks_what_we_know_alone() -> None:
    """A report always moves a delivery that waits; the better news wins over the worse."""
    ours = max(RANK[status] for status in (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN))
    assert ours < RANK[DeliveryStatus.SENT] < RANK[DeliveryStatus.UNCONFIRMED]
    assert RANK[DeliveryStatus.DELIVERED] == max(RANK.values())
    # What we ended ourselves is still corrected by a report that says more.
    assert RANK[DeliveryStatus.SUPPRESSED] == RANK[DeliveryStatus.EXPIRED] < RANK[DeliveryStatus.UNCONFIRMED]


@pytest.mark.parametrize(
    ("number", "reached"),
    [
        ("+12025550143", False),
        ("+14165550123", False),
        ("+17872345678", False),
        ("+18765550143", True),
        ("+447400123456", True),
    ],
)
def test_a_name_is_never_a_sender_in_us_canada_and_puerto_rico(number: str, *, reached: bool) -> None:
    """There carriers drop such messages; elsewhere, also elsewhere under +1, the name may send."""
    name = Sender("name", SenderKind.ALPHANUMERIC, "p", "ACME", 1.0)
    app = App("a", "A", (name,), countries=frozenset("*"))
    assert routing.candidates(app, Channel.SMS, phone.parse(number)) == ((name,) if reached else ())


@pytest.mark.parametrize("number", ["+881612345678", "+883510012345", "+979123456789", "+80012345678"])
def test_no_countrys_numbers_are_blocked_even_for_everywhere(number: str) -> None:
    """`countries = ["*"]` means all countries, and these ranges are of none."""
    app = App("a", "A", (), countries=frozenset("*"))
    assert routing.refused_destination(app, phone.parse(number)) == "destination_blocked"


def test_a_retry_that_was_refused_may_go_to_the_next_sender() -> None:
    """When a sender's tries are used up, the next one of the route gets its turn."""
    assert failover.blamed(Refused("1", "", Action.RETRY)) is failover.Blamed.SENDER


@pytest.mark.parametrize("text", [f"{2**64}-0", f"0-{2**64}", f"{10**38}-0", "", "-", "1", "1-", "-1", "1-1-1", "1--1"])
def test_a_place_that_the_store_cannot_count_to_is_none(text: str) -> None:
    """The store's ids have 64 bits in both halves: a made-up cursor beyond them is refused before the store sees it."""
    with pytest.raises(ValueError, match="not a position"):
        Position.read(text)
    last = 2**64 - 1
    assert Position.read(f"{last}-{last}") == Position(last, last)
