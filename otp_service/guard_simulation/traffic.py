"""Honest traffic: people who come back, people who are new, by the hour of the day and the day of the week."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from ..domain.guard.policy import DAY_MS, HOUR_MS, MINUTE_MS
from .numbers import MARKETS, Market

EPOCH_MS = 20_000 * DAY_MS
"""Where the simulation's clock begins: a Friday."""

NEW_SHARE = 0.25
CONVERSION = {True: 0.95, False: 0.86}
"""How many enter their code: known people, new people."""
SHARED_ADDRESS = 0.25
"""How many come from an address that others share: an office, a carrier's gateway."""
SHARED_ADDRESSES = 25
AGAIN = (0.6, 0.3)
"""How many of those without a code ask a second and a third time; half of those get in."""


@dataclass(slots=True)
class Attempt:
    """A start, and what becomes of it if it is sent: approved after `approved_in_ms`, or never (0)."""

    at_ms: int
    number: str
    country: str
    address: str
    approved_in_ms: int
    attack: bool = False


@dataclass
class People:
    """Those who have used the service, by country."""

    numbers: dict[str, list[str]] = field(default_factory=lambda: {market.name: [] for market in MARKETS})
    addresses: dict[str, str] = field(default_factory=dict)


@dataclass
class Traffic:
    """Honest traffic of so many starts a day. The same seed makes the same traffic."""

    per_day: int
    chance: Random
    people: People = field(default_factory=People)

    def regulars(self) -> Iterator[tuple[str, str, int]]:
        """Numbers that were approved in the sixty days before the simulation: number, country, time."""
        for _ in range(10 * self.per_day):
            market = self._market()
            number = self._join(market)
            yield number, market.name, EPOCH_MS - 1 - self.chance.randrange(60 * DAY_MS)

    def hours(self, first: int, count: int, factor: float = 1.0) -> Iterator[Attempt]:
        """The starts of hours since the epoch, `factor` times as many new people as usual."""
        for hour in range(first, first + count):
            begin = EPOCH_MS + hour * HOUR_MS
            mean = self.per_day / 24 * rhythm(hour)
            for _ in range(poisson(self.chance, mean * (1 - NEW_SHARE))):
                yield from self._attempts(begin, known=True)
            for _ in range(poisson(self.chance, mean * NEW_SHARE * factor)):
                yield from self._attempts(begin, known=False)

    def _market(self) -> Market:
        place = self.chance.random()
        for market in MARKETS:
            place -= market.share
            if place < 0:
                return market
        return MARKETS[0]

    def _join(self, market: Market) -> str:
        number = market.customer(self.chance)
        shared = self.chance.random() < SHARED_ADDRESS
        address = f"{market.name}-{self.chance.randrange(SHARED_ADDRESSES)}" if shared else f"of {number}"
        self.people.addresses[number] = address
        self.people.numbers[market.name].append(number)
        return number

    def _attempts(self, begin: int, *, known: bool) -> Iterator[Attempt]:
        market, chance = self._market(), self.chance
        met = self.people.numbers[market.name]
        number = chance.choice(met) if known and met else market.customer(chance)
        at_ms = begin + chance.randrange(HOUR_MS)
        address = self.people.addresses.get(number) or self._address(market, number)
        converts = chance.random() < CONVERSION[known]
        yield Attempt(at_ms, number, market.name, address, self._delay() if converts else 0)
        for again in () if converts else AGAIN:
            if chance.random() >= again or converts:
                return
            at_ms += MINUTE_MS + chance.randrange(MINUTE_MS)
            converts = chance.random() < 0.5
            yield Attempt(at_ms, number, market.name, address, self._delay() if converts else 0)
        if converts and not known:
            met.append(number)
            self.people.addresses[number] = address

    def _address(self, market: Market, number: str) -> str:
        shared = self.chance.random() < SHARED_ADDRESS
        return f"{market.name}-{self.chance.randrange(SHARED_ADDRESSES)}" if shared else f"of {number}"

    def _delay(self) -> int:
        return 1 + int(1000 * min(240.0, self.chance.lognormvariate(3.2, 0.6)))


def rhythm(hour: int) -> float:
    """How busy an hour is, against the average: quiet nights, busy evenings, fewer people at the weekend."""
    of_day = 1 - 0.75 * math.cos(2 * math.pi * ((hour % 24) - 4) / 24)
    weekend = (hour // 24 + 4) % 7 >= 5
    return of_day * (0.75 if weekend else 1.1)


def poisson(chance: Random, mean: float) -> int:
    """A count with this mean."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
