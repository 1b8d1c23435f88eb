"""What the carrier itself reads in a reply, and what stands on its list then."""

import pytest

from otp_service.domain.optout import Source, Wish, carrier_reading, source


@pytest.mark.parametrize(
    ("autoresponse", "meant"),
    [("STOP", Wish.STOP), ("start", Wish.START), ("HELP", Wish.HELP), ("SOMETHING", None)],
)
def test_the_carriers_reading(autoresponse: str, meant: Wish | None) -> None:
    """In any case; a classification that we do not know means nothing."""
    assert carrier_reading(autoresponse) is meant


@pytest.mark.parametrize(
    ("autoresponse", "text", "meant"),
    [
        ("STOP", "whatever", Source.INBOUND),
        (None, " stop  all ", Source.INBOUND),
        (None, "Quit", Source.INBOUND),
        (None, "ARRET", Source.REPLY),
        (None, "stop.", Source.REPLY),
        ("", "please stop", Source.REPLY),
    ],
)
def test_what_the_carrier_understood_too_is_marked(autoresponse: str | None, text: str, meant: Source) -> None:
    """Its block is on its list, ours is not."""
    assert source(autoresponse, text) is meant
