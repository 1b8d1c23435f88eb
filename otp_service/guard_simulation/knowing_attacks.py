"""Attacks by somebody who has read the guard's rules. What passes is said in the guide."""

from collections.abc import Iterator
from random import Random

from ..domain.guard.policy import DAY_MS
from .attacks import BLOCKS, HIDDEN_A_DAY, every, fresh, in_one, some_blocks
from .numbers import ABROAD, LARGEST, MARKETS
from .traffic import Attempt


def bought(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Fifty numbers that were approved once, each asked for twenty times a day: the most that one number gets."""
    market = chance.choice(ABROAD)
    numbers = [in_one(some_blocks(market, 50, chance), chance) for _ in range(50)]
    for at_ms, number in zip(every(begin_hour, 2, 25), numbers, strict=False):
        yield Attempt(at_ms, number, market.name, fresh(chance), 20_000, attack=True)
    for place, at_ms in enumerate(every(begin_hour + 48, 2, 1_000)):
        yield Attempt(at_ms, numbers[place % 50], market.name, fresh(chance), 0, attack=True)


def among_customers(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """In the blocks where the customers of the largest country are, three days."""
    blocks = [LARGEST.block(place) for place in range(LARGEST.active)]
    for at_ms in every(begin_hour, 3, HIDDEN_A_DAY):
        yield Attempt(at_ms, in_one(blocks, chance), LARGEST.name, fresh(chance), 0, attack=True)


def again_and_again(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Each number is asked for five times in a row, over a thousand blocks of a country, three days."""
    market = chance.choice(ABROAD)
    blocks, number = some_blocks(market, BLOCKS, chance), ""
    for place, at_ms in enumerate(every(begin_hour, 3, HIDDEN_A_DAY)):
        number = number if place % 5 else in_one(blocks, chance)
        yield Attempt(at_ms, number, market.name, fresh(chance), 0, attack=True)


def false_outage(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """A hundred approved numbers that stop entering codes, so that it looks like an outage, beside pumping."""
    market = chance.choice(ABROAD)
    blocks = some_blocks(market, BLOCKS, chance)
    own = [in_one(blocks, chance) for _ in range(100)]
    for at_ms, number in zip(every(begin_hour, 1, 100), own, strict=False):
        yield Attempt(at_ms, number, market.name, fresh(chance), 20_000, attack=True)
    for place, at_ms in enumerate(every(begin_hour + 24, 3, 2 * HIDDEN_A_DAY)):
        number = in_one(blocks, chance) if place % 2 else own[place // 2 % 100]
        yield Attempt(at_ms, number, market.name, fresh(chance), 0, attack=True)


def like_people(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """As many codes are entered as people enter, three days."""
    market = chance.choice(ABROAD)
    blocks = some_blocks(market, BLOCKS, chance)
    for at_ms in every(begin_hour, 3, HIDDEN_A_DAY):
        approved = 20_000 if chance.random() < 0.86 else 0
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), approved, attack=True)


def faked_in_largest(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Seven of ten codes are entered, hidden in the largest country, three days."""
    blocks = some_blocks(LARGEST, BLOCKS, chance)
    for at_ms in every(begin_hour, 3, HIDDEN_A_DAY):
        approved = 20_000 if chance.random() < 0.7 else 0
        yield Attempt(at_ms, in_one(blocks, chance), LARGEST.name, fresh(chance), approved, attack=True)


def everywhere_slowly(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """One message in two minutes over all countries, from five hundred addresses, ten days."""
    markets = MARKETS + ABROAD
    for at_ms in every(begin_hour, 10, 720):
        market = chance.choice(markets)
        number = f"{market.block(chance.randrange(market.plan))}{chance.randrange(10_000):04d}"
        yield Attempt(at_ms, number, market.name, f"pool {chance.randrange(500)}", 0, attack=True)


def ramp(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Sixty honest approvals a day for ten days lift a country's base, then three days of pumping there."""
    market = chance.choice(ABROAD)
    blocks = some_blocks(market, BLOCKS, chance)
    for at_ms in every(begin_hour, 10, 60):
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), 20_000, attack=True)
    for at_ms in every(begin_hour + 240, 3, HIDDEN_A_DAY):
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), 0, attack=True)


def burst(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Ten thousand starts in ten minutes over the largest country."""
    blocks = some_blocks(LARGEST, BLOCKS, chance)
    for place, at_ms in enumerate(every(begin_hour + 12, 10 / 1440, DAY_MS / 60)):
        if place < 10_000:
            yield Attempt(at_ms, in_one(blocks, chance), LARGEST.name, fresh(chance), 0, attack=True)
