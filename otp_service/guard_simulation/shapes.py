"""What is simulated: eight attacks, three innocent shapes of traffic, and attacks by somebody who knows the rules."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from ..domain.guard.policy import HOUR_MS
from . import attacks, knowing_attacks
from .attacks import Attack
from .traffic import EPOCH_MS, Attempt, Traffic

WARM_UP_HOURS = 16 * 24
"""Of honest traffic before every shape, so that each defence knows its customers."""


@dataclass(frozen=True)
class Shape:
    """A shape of traffic: its days, the attack in it, and how honest traffic differs.

    `launch`: how many times the usual number of new people. `outage_hours`: from and to which hour no code arrives.
    """

    name: str
    title: str
    days: float
    attack: Attack | None = None
    launch: float = 1.0
    outage_hours: tuple[int, int] = (0, 0)

    def attempts(self, traffic: Traffic, chance: Random) -> list[Attempt]:
        """All starts in order of time."""
        found = list(self._honest(traffic))
        if self.attack is not None:
            end_ms = EPOCH_MS + int((WARM_UP_HOURS + 24 * self.days) * HOUR_MS)
            found += [attempt for attempt in self.attack(WARM_UP_HOURS, chance) if attempt.at_ms < end_ms]
        return sorted(found, key=lambda attempt: attempt.at_ms)

    def _honest(self, traffic: Traffic) -> Iterator[Attempt]:
        first, last = (EPOCH_MS + (WARM_UP_HOURS + hour) * HOUR_MS for hour in self.outage_hours)
        for attempt in traffic.hours(WARM_UP_HOURS, math.ceil(24 * self.days), self.launch):
            yield replace(attempt, approved_in_ms=0) if first <= attempt.at_ms < last else attempt


LARGEST = "hidden"
"""The attack that may cost honest people more than the others: it is where most of them are."""

ATTACKS = (
    Shape("sequential", "Numbers in sequence from one address", 1, attacks.sequential),
    Shape("one_block", "One block, rotating addresses", 2, attacks.one_block),
    Shape("spread", "Spread over 1,000 blocks of a country", 2, attacks.spread),
    Shape("everywhere", "Spread over all countries", 2, attacks.everywhere),
    Shape("drip", "One message in 5 minutes for 10 days", 10, attacks.drip),
    Shape(LARGEST, "Hidden in the largest country", 3, attacks.hidden),
    Shape("honest_first", "Honest for 4 days, then pumping", 6, attacks.honest_first),
    Shape("faked", "70 % of the codes entered", 3, attacks.faked),
)
INNOCENT = (
    Shape("quiet", "A quiet month", 30),
    Shape("launch", "A launch: 8 times the new people", 3, launch=8.0),
    Shape("outage", "A carrier outage of 2 hours", 2, outage_hours=(18, 20)),
)
KNOWING = (
    Shape("again", "Each number five times", 3, knowing_attacks.again_and_again),
    Shape("ramp", "Honest for 10 days, then pumping", 13, knowing_attacks.ramp),
    Shape("slowly", "All countries, slowly, 500 addresses", 10, knowing_attacks.everywhere_slowly),
    Shape("burst", "10,000 starts in 10 minutes", 1, knowing_attacks.burst),
    Shape("faked_largest", "70 % entered, in the largest country", 3, knowing_attacks.faked_in_largest),
    Shape("among_customers", "In the customers' own blocks", 3, knowing_attacks.among_customers),
    Shape("false_outage", "Known numbers that feign an outage", 4, knowing_attacks.false_outage),
    Shape("like_people", "86 % of the codes entered", 3, knowing_attacks.like_people),
    Shape("bought", "50 numbers approved once, then pumped", 4, knowing_attacks.bought),
)
USUAL = ATTACKS + INNOCENT
