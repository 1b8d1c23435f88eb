"""The attacks: scripts that ask for codes to numbers that pay their owner for each message."""

from collections.abc import Callable, Iterator
from random import Random

from ..domain.guard.policy import DAY_MS, HOUR_MS, MINUTE_MS
from .numbers import ABROAD, LARGEST, MARKETS, Market
from .traffic import EPOCH_MS, Attempt, rhythm

Attack = Callable[[int, Random], Iterator[Attempt]]
"""From the hour in which it begins, and chance, to its starts in order of time."""

LOUD_A_DAY = 6_000
HIDDEN_A_DAY = 2_400
BLOCKS = 1_000


def fresh(chance: Random) -> str:
    """An address that nobody has used: the attacker rents them by the thousand."""
    return f"rented {chance.randrange(10**9)}"


def every(begin_hour: int, days: float, a_day: float) -> Iterator[int]:
    begin, gap = EPOCH_MS + begin_hour * HOUR_MS, DAY_MS / a_day
    for place in range(int(days * a_day)):
        yield begin + int(place * gap)


def some_blocks(market: Market, count: int, chance: Random) -> list[str]:
    return [market.block(place) for place in chance.sample(range(market.plan), count)]


def in_one(blocks: list[str], chance: Random) -> str:
    return f"{chance.choice(blocks)}{chance.randrange(10_000):04d}"


def sequential(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """One number after the other, from one address, six a minute, one day."""
    market = chance.choice(ABROAD)
    for place, at_ms in enumerate(every(begin_hour, 1, 6 * 24 * 60)):
        yield Attempt(at_ms, f"{market.block(1)[:-1]}{place:05d}", market.name, "one address", 0, attack=True)


def one_block(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """One block of 10,000 numbers, addresses rotating, two days."""
    market = chance.choice(ABROAD)
    block = market.block(2)
    for at_ms in every(begin_hour, 2, LOUD_A_DAY):
        yield Attempt(at_ms, f"{block}{chance.randrange(10_000):04d}", market.name, fresh(chance), 0, attack=True)


def spread(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """A thousand blocks of a country without customers, two days."""
    market = chance.choice(ABROAD)
    blocks = some_blocks(market, BLOCKS, chance)
    for at_ms in every(begin_hour, 2, LOUD_A_DAY):
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), 0, attack=True)


def everywhere(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Over all countries, two days."""
    markets = MARKETS + ABROAD
    for at_ms in every(begin_hour, 2, LOUD_A_DAY):
        market = chance.choice(markets)
        number = f"{market.block(chance.randrange(market.plan))}{chance.randrange(10_000):04d}"
        yield Attempt(at_ms, number, market.name, fresh(chance), 0, attack=True)


def drip(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """One message in five minutes for ten days, over a thousand blocks of a country."""
    market = chance.choice(ABROAD)
    blocks = some_blocks(market, BLOCKS, chance)
    for at_ms in every(begin_hour, 10, DAY_MS / (5 * MINUTE_MS)):
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), 0, attack=True)


def hidden(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """In the largest country, with the rhythm of its customers, three days."""
    blocks = some_blocks(LARGEST, BLOCKS, chance)
    for hour in range(begin_hour, begin_hour + 72):
        count = round(HIDDEN_A_DAY / 24 * rhythm(hour))
        for place in range(count):
            at_ms = EPOCH_MS + hour * HOUR_MS + place * HOUR_MS // count
            yield Attempt(at_ms, in_one(blocks, chance), LARGEST.name, fresh(chance), 0, attack=True)


def honest_first(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Four days of a hundred honest approvals in three hundred blocks of a country, then two of pumping there."""
    market = chance.choice(ABROAD)
    blocks = some_blocks(market, 300, chance)
    for at_ms in every(begin_hour, 4, 100):
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), 20_000, attack=True)
    for at_ms in every(begin_hour + 96, 2, LOUD_A_DAY):
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), 0, attack=True)


def faked(begin_hour: int, chance: Random) -> Iterator[Attempt]:
    """Seven of ten codes are entered: the attacker reads his own messages. Three days."""
    market = chance.choice(ABROAD)
    blocks = some_blocks(market, BLOCKS, chance)
    for at_ms in every(begin_hour, 3, HIDDEN_A_DAY):
        approved = 20_000 if chance.random() < 0.7 else 0
        yield Attempt(at_ms, in_one(blocks, chance), market.name, fresh(chance), approved, attack=True)
