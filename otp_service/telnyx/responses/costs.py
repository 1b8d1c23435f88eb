"""What the carrier says that a message cost: an amount as text, and its currency."""

import re
from decimal import ROUND_CEILING, Decimal

from ...domain.prices import MICROS, Cost
from .. import json

_AMOUNT = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,12})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def read_cost(value: object) -> Cost | None:
    """The cost, rounded up to a millionth; None if there is none, or it is no amount of a currency."""
    members = json.mapping(value)
    amount, currency = json.string(members.get("amount")), json.string(members.get("currency"))
    if amount is None or currency is None or not (_AMOUNT.fullmatch(amount) and _CURRENCY.fullmatch(currency)):
        return None
    return Cost(int((Decimal(amount) * MICROS).to_integral_value(ROUND_CEILING)), currency)
