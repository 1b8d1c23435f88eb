"""Ranges of national plans that the library takes for other kinds, or for another country's."""

import pytest

from otp_service.domain import phone
from otp_service.domain.numbering import Kind

from .test_numbering import decide


@pytest.mark.parametrize(
    "number",
    [
        *("+61145101234", "+61145381234", "+61147101234", "+546700123456", "+546750123456", "+522001234567"),
        *("+84672012345", "+905922121234", "+212592401234", "+213961912345", "+221933301234", "+25006123456"),
        *("+261221234567", "+6752751234", "+6926351234", "+79541234567", "+8613491234567", "+8617401234567"),
        "+62868123456",
    ],
)
def test_satellites_of_a_country_are_satellites(number: str) -> None:
    """The library calls most of them VoIP or mobile: an app that lists the kind sends to them in their own country."""
    to = phone.parse(number)
    assert (to.kind, decide(number, "*")) == (Kind.SATELLITE, "destination_blocked")
    assert decide(number, str(to.region), kinds=frozenset({Kind.SATELLITE})) == "sent"


@pytest.mark.parametrize("number", ["+61412345678", "+541167012345", "+79161234567", "+8613401234567"])
def test_the_numbers_beside_satellites_are_peoples(number: str) -> None:
    """The ranges are no wider than they are given."""
    assert phone.parse(number).kind is not Kind.SATELLITE


@pytest.mark.parametrize(
    ("number", "lender", "owner"),
    [
        ("+37744123456", "MC", "XK"),
        ("+37745123456", "MC", "XK"),
        ("+79401234567", "RU", None),
        ("+78401234567", "RU", None),
    ],
)
def test_a_lent_range_is_not_the_lenders(number: str, lender: str, owner: str | None) -> None:
    """Kosovo's old mobile numbers are not Monaco's, and Abkhazia, which has no country's code, is not Russia."""
    assert decide(number, lender) == "country_not_allowed"
    assert decide(number, "*") == "sent"
    assert phone.parse(number).region == owner
