"""Routes: which senders serve a channel and a country, and in which order."""

from dataclasses import fields

import pytest

from otp_service.domain import failover, phone, routing
from otp_service.domain.delivery import Action, Refused
from otp_service.domain.failover import Blamed
from otp_service.domain.policy import App, Channel, SenderKind
from tests.config.reading import sender

ROUTE = tuple(sender(kind) for kind in SenderKind)
US, DE = phone.parse("+12025550143"), phone.parse("+4915112345678")


def test_a_route_serves_channel_and_country_in_the_operators_order() -> None:
    """WhatsApp by WhatsApp only; names never to the US, Canada and Puerto Rico."""
    app = App("a", "A", ROUTE)
    assert [one.kind for one in routing.candidates(app, Channel.WHATSAPP, US)] == ["whatsapp"]
    assert [one.kind for one in routing.candidates(app, Channel.SMS, US)] == ["long_code", "number_pool", "short_code"]
    assert "alphanumeric" in [one.kind for one in routing.candidates(app, Channel.SMS, DE)]


def test_the_other_channels_senders_stand_behind() -> None:
    """They bring the code when none of the channel asked for could; country rules hold for them too."""
    app = App("a", "A", ROUTE)
    assert [one.kind for one in routing.other_channel_senders(app, Channel.SMS, US)] == ["whatsapp"]
    assert [one.kind for one in routing.other_channel_senders(app, Channel.WHATSAPP, US)] == [
        "long_code",
        "number_pool",
        "short_code",
    ]


def test_ranges_of_no_country_are_blocked() -> None:
    """Satellite and premium numbering is never a person's phone."""
    app = App("a", "A", ROUTE)
    assert routing.refused_destination(app, phone.parse("+881612345678")) == "destination_blocked"
    assert routing.refused_destination(app, US) is None


@pytest.mark.parametrize(
    ("refused", "helps"),
    [
        (None, Blamed.SENDER),
        (Refused("1", "", Action.NEXT_SENDER), Blamed.SENDER),
        (Refused("1", "", Action.STOP_SENDER), Blamed.SENDER),
        (Refused("1", "", Action.STOP_PERSON), Blamed.NOBODY_HELPS),
        (Refused("40309", "country", Action.STOP_PERSON), Blamed.PROFILE),
        (Refused("40001", "landline", Action.STOP_PERSON), Blamed.CHANNEL),
        (Refused("20100", "no funds", Action.STOP_ALL), Blamed.NOBODY_HELPS),
        (Refused("77777", "HTTP 402 with an unknown code", Action.STOP_ALL), Blamed.SENDER),
        (Refused("1", "", Action.STOP_PERSON, opted_out=True), Blamed.SENDER),
    ],
)
def test_another_sender_is_asked_where_that_can_help(refused: Refused | None, helps: Blamed) -> None:
    """A wrong number or a locked account is the same for every sender; a block is one profile's, a landline SMS's."""
    assert failover.blamed(refused) is helps


def test_countries_are_the_operators() -> None:
    """A number of no region passes only where everything does."""
    app = App("a", "A", ROUTE)
    assert app.may_send_to("US")
    assert not app.may_send_to("DE")
    assert not app.may_send_to(None)
    assert {field.name for field in fields(App)} >= {"countries", "route"}
