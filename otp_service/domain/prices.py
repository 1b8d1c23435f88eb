"""What messages cost by the operator's contract with the carrier, and what an app may spend on them in a day."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from .policy import Channel

MICROS = 1_000_000
"""Amounts are counted in millionths of the currency: whole numbers, which no sum rounds."""

SPEND_LIMIT = "spend_limit"
"""The reason of a refusal by `daily_spend_limit`."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a part of an SMS costs by country (ISO 3166). `whatsapp`: a message by WhatsApp, where that differs.

    `default`: what it costs in countries that are not listed; None if nothing is said of them.
    """

    currency: str = "USD"
    segments: Mapping[str, float] = field(default_factory=dict)
    whatsapp: Mapping[str, float] = field(default_factory=dict)
    default: float | None = None

    def knows(self, region: str) -> bool:
        """Whether there is a price for this country."""
        return self.default is not None or region in self.segments

    def expected(self, region: str | None, channel: Channel, parts: int) -> int:
        """The expected price of a message in millionths. A number of no country costs the most that is listed."""
        price = self.whatsapp.get(region or "") if channel is Channel.WHATSAPP else None
        if price is not None:
            return micros(price)
        return micros(self._of_part(region)) * (parts if channel is Channel.SMS else 1)

    def _of_part(self, region: str | None) -> float:
        listed = self.segments.get(region or "")
        if listed is not None:
            return listed
        return max(self.segments.values(), default=0.0) if self.default is None else self.default


def micros(amount: float) -> int:
    """An amount of the configuration in millionths, rounded up."""
    return math.ceil(round(amount * MICROS, 3))


@dataclass(frozen=True, slots=True)
class Cost:
    """What the carrier says that a message cost: millionths of a currency (ISO 4217)."""

    micros: int
    currency: str


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """The expected price of one message, which an app takes of what it may spend today.

    `micros` and `most` (what it may spend in a day) are millionths of the currency of `[prices]`.
    """

    app: str
    region: str
    micros: int
    most: int = 0

    @property
    def name(self) -> str:
        """The reason of a refusal."""
        return SPEND_LIMIT


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a report's cost corrects. `day`: of the price that was taken for the message, "" if none was; days are
    counted since 1970. `expected`: that price. `before`: the cost that an earlier report said; None if none did."""

    app: str
    day: str
    expected: int
    before: int | None
