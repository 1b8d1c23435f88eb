"""Countries and their numbers, as the simulation has them.

A country has `plan` blocks of 10,000 numbers. Customers have most of their numbers in `active` of them, few blocks
with many and many with few (a Zipf law): people of one region and of its carriers. Attackers know the plan alone.
"""

from bisect import bisect
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random

ELSEWHERE = 0.04
"""The share of customers whose numbers are anywhere in the plan."""


@dataclass(frozen=True)
class Market:
    """A country with its share of the customers."""

    name: str
    code: str
    share: float
    plan: int = 3_000
    active: int = 60

    @cached_property
    def weights(self) -> list[float]:
        """Cumulated weights of the active blocks."""
        return list(accumulate(1 / (place + 8) for place in range(self.active)))

    def block(self, place: int) -> str:
        """The digits before the last four of the numbers of a block."""
        # Multiplied by a number without a common divisor, so that neighbours in rank are none in the plan.
        return f"+{self.code}{place * 7_919 % self.plan:06d}"

    def customer(self, chance: Random) -> str:
        """The number of a new customer."""
        if chance.random() < ELSEWHERE:
            place = chance.randrange(self.plan)
        else:
            place = bisect(self.weights, chance.random() * self.weights[-1])
        return f"{self.block(place)}{chance.randrange(10_000):04d}"


MARKETS = (
    Market("US", "1", 0.52, plan=8_000, active=300),
    Market("CA", "1204", 0.12, active=80),
    Market("GB", "44", 0.10, active=80),
    Market("DE", "49", 0.06),
    Market("FR", "33", 0.05),
    Market("MX", "52", 0.04),
    Market("ES", "34", 0.03),
    Market("IT", "39", 0.02, active=30),
    Market("BR", "55", 0.02, active=30),
    Market("IN", "91", 0.02, active=30),
    Market("NL", "31", 0.01, active=30),
    Market("AU", "61", 0.01, active=30),
)
"""Where the customers are: one large country, and a tail."""

LARGEST = MARKETS[0]
ABROAD = tuple(Market(f"X{place:03d}", f"9{place:03d}", 0.0) for place in range(180))
"""Countries without customers."""
