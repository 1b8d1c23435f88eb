"""Which buckets a start takes from, with their limits at this time.

Blocks and address always; then one of three: in an outage its bucket, as long as that has room; for a warm block the
warm buckets of country and total; for a cold one the country's day and hour, and the total's day.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .counters import Address, Bucket, Country, Rate, Total
from .policy import DAY_MS, HOUR_MS, Budget, GuardPolicy

KNOWN_MS = 6 * HOUR_MS


class Place(NamedTuple):
    """A bucket that a start takes from."""

    budget: Budget
    bucket: Bucket
    rate: Rate


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a start, see `counters`. What does not exist yet is a new one."""

    block_10k: Bucket
    block_1k: Bucket
    address: Address | None
    country: Country
    total: Total


@dataclass(frozen=True, slots=True)
class Way:
    """Which of the wide budgets a start takes from, see `counters.Taken`."""

    warm: bool
    outage: bool
    total: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a country's day and of all countries' day, and the total's base."""

    country: float
    total: float
    base: float
    carried: bool

    @classmethod
    def of(cls, total: Total, country: Country, now_ms: int, policy: GuardPolicy) -> "Limits":
        """From the bases of the last days. `carried`: the country's own base carries its limit."""
        young = total.is_young(now_ms, policy)
        own = policy.share * country.days.base(now_ms, policy, young=young)
        everywhere = total.days.base(now_ms, policy, young=young)
        return cls(
            max(policy.country_a_day, own),
            max(policy.total_a_day, policy.share * everywhere),
            everywhere,
            own >= policy.country_a_day,
        )


def known_rate(policy: GuardPolicy) -> Rate:
    """Of the bucket that tells an outage."""
    return Rate(policy.outage_known, policy.outage_known, KNOWN_MS)


def outage_rate(limits: Limits, policy: GuardPolicy) -> Rate:
    """Of the bucket that takes the place of all wide ones in an outage."""
    most = max(policy.outage_floor, policy.outage_share * limits.base)
    return Rate(most, most, DAY_MS)


def places(records: Records, way: Way, limits: Limits, policy: GuardPolicy) -> list[Place]:
    """Every bucket that a start takes from, in the order in which refusals name them."""
    return _narrow(records, way, policy) + _wide(records, way, limits, policy)


def _narrow(records: Records, way: Way, policy: GuardPolicy) -> list[Place]:
    factor = policy.block_warm_factor if way.warm else 1.0
    block_1k = Rate(policy.block_1k_in_6h * factor, policy.block_1k_in_6h, 6 * HOUR_MS)
    block_10k = Rate(policy.block_10k_a_day * factor, policy.block_10k_a_day, DAY_MS)
    found = [
        Place(Budget.BLOCK_1K, records.block_1k, block_1k),
        Place(Budget.BLOCK_10K, records.block_10k, block_10k),
    ]
    if records.address is not None:
        most = policy.address_an_hour * (policy.address_warm_factor if way.warm else 1.0)
        found.append(Place(Budget.ADDRESS, records.address.bucket, Rate(most, policy.address_an_hour, HOUR_MS)))
    return found


def _wide(records: Records, way: Way, limits: Limits, policy: GuardPolicy) -> list[Place]:
    country, total = records.country, records.total
    if way.outage:
        return [Place(Budget.OUTAGE, total.outage, outage_rate(limits, policy))]
    if way.warm:
        return [
            Place(Budget.COUNTRY_WARM, country.warm, _warm(policy.warm_factor * limits.country, policy)),
            Place(Budget.TOTAL_WARM, total.warm, _warm(_total_warm(limits, policy), policy)),
        ]
    hour = max(policy.country_an_hour, policy.hour_share * limits.country)
    found = [
        Place(Budget.COUNTRY, country.cold, Rate(limits.country, limits.country, DAY_MS, policy.pressed_drain)),
        Place(Budget.COUNTRY_HOUR, country.hour, Rate(hour, hour, HOUR_MS)),
    ]
    if way.total:
        found.append(Place(Budget.TOTAL, total.cold, Rate(limits.total, limits.total, DAY_MS, policy.pressed_drain)))
    return found


def _warm(a_day: float, policy: GuardPolicy) -> Rate:
    # It holds half a day, so that the first day of an attack is not twice the others.
    return Rate(a_day / 2, a_day, DAY_MS, policy.pressed_warm_drain)


def _total_warm(limits: Limits, policy: GuardPolicy) -> float:
    return max(2 * policy.total_a_day, policy.total_warm_share * limits.base)
