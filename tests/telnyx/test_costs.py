"""What a report says that its message cost."""

import pytest

from otp_service.domain.prices import Cost
from otp_service.telnyx.responses.costs import read_cost
from otp_service.telnyx.responses.reports import reports


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({"amount": "0.0051", "currency": "USD"}, Cost(5_100, "USD")),
        ({"amount": "0.00325001", "currency": "EUR"}, Cost(3_251, "EUR")),
        ({"amount": "0", "currency": "USD"}, Cost(0, "USD")),
        ({"amount": 0.0051, "currency": "USD"}, None),
        ({"amount": "-1", "currency": "USD"}, None),
        ({"amount": "1e9", "currency": "USD"}, None),
        ({"amount": "NaN", "currency": "USD"}, None),
        ({"amount": "\u0661", "currency": "USD"}, None),
        ({"amount": "9999999999", "currency": "USD"}, None),
        ({"amount": "0.1", "currency": "dollars"}, None),
        ({"amount": "0.1"}, None),
        ("0.1", None),
        (None, None),
    ],
)
def test_an_amount_of_a_currency(said: object, cost: Cost | None) -> None:
    """Rounded up to a millionth; anything else is none."""
    assert read_cost(said) == cost


def test_a_message_to_several_people_has_no_cost_of_one() -> None:
    """Nobody knows who caused how much of it."""
    message = {"id": "m", "cost": {"amount": "0.01", "currency": "USD"}}
    one, other = ({"phone_number": number, "status": "delivered"} for number in ("+12025550143", "+12025550144"))
    assert [report.cost for report in reports({**message, "to": [one]}, 0)] == [Cost(10_000, "USD")]
    assert [report.cost for report in reports({**message, "to": [one, other]}, 0)] == [None, None]
