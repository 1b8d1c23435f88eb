"""Whether the guard lets a start pass: one function of (counters, start, now, policy), which changes nothing.

How a store runs it: all budgets of an app are in one slot, and one script (`guard/take`) judges and fills them. A
number is judged on its own shard.
"""

from dataclasses import dataclass

from .counters import Bucket, Counters, Country, Number, Probes, Rate, Total
from .places import Limits, Place, Records, Way, known_rate, outage_rate, places
from .policy import DAY_MS, PROBED, WIDE, Budget, GuardPolicy, Mode

NOBODY = Number()
"""A number that was never met."""


NO_WAY = Way(warm=False, outage=False, total=False)


@dataclass(frozen=True, slots=True)
class Start:
    """What the guard knows of a start.

    `number`: whatever names the number (its keyed hash). `block_10k`, `block_1k`: whatever names its blocks, see
    `blocks`. `country`: ISO 3166, "" for none. `address`: the end user's, "" where the caller does not say it.
    `known_user`: the caller knows the user. `safe`: the number, its block or its country is on the safe list, or the
    number is one of the sandbox's.
    """

    number: str
    block_10k: str
    block_1k: str
    country: str
    address: str = ""
    known_user: bool = False
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says of a start, and why.

    `refused`: nothing may be sent. `counted`: it fills budgets if it is sent. `known`: of a known number. `covered`: an
    earlier count pays for it. `way`, `cost`: what it takes. `full`: the budgets without room for it, the first is the
    reason that a caller is told; in monitor mode they stand here without a refusal. `country_probe`, `total_probe`: it
    passes as a probe of these budgets.
    """

    refused: bool = False
    counted: bool = False
    known: bool = False
    covered: bool = False
    way: Way = NO_WAY
    cost: float = 0.0
    full: tuple[Budget, ...] = ()
    country_probe: bool = False
    total_probe: bool = False


FREE = Verdict()
KNOWN = Verdict(known=True)
COVERED = Verdict(covered=True)


def blocks(e164: str) -> tuple[str, str]:
    """The blocks of 10,000 and of 1,000 numbers that this one is in."""
    return e164[:-4], e164[:-3]


def judge(counters: Counters, start: Start, now_ms: int, policy: GuardPolicy) -> Verdict:
    """Whether this start may be sent, by the budgets as they are now."""
    mode = policy.mode_in(start.country)
    if mode is Mode.OFF or start.safe:
        return FREE
    number = counters.numbers.get(start.number, NOBODY)
    if number.is_known(now_ms, policy):
        return KNOWN
    if number.is_covered(now_ms, policy):
        return COVERED
    return _judge_unknown(records_of(counters, start), start, mode, now_ms, policy)


def records_of(counters: Counters, start: Start) -> Records:
    """The records of a start, to be looked at."""
    return Records(
        counters.blocks_10k.get(start.block_10k) or Bucket(),
        counters.blocks_1k.get(start.block_1k) or Bucket(),
        counters.addresses.get(start.address) if start.address else None,
        counters.countries.get(start.country) or Country(),
        counters.total,
    )


def _judge_unknown(records: Records, start: Start, mode: Mode, now_ms: int, policy: GuardPolicy) -> Verdict:
    cost = policy.known_user_cost if start.known_user else 1.0
    limits = Limits.of(records.total, records.country, now_ms, policy)
    way = Way(
        records.country.is_warm(start.block_10k, now_ms, policy),
        is_outage(records.total, now_ms, policy) and _passes_in_outage(records.total, cost, limits, now_ms, policy),
        not limits.carried,
    )
    taken = places(records, way, limits, policy)
    full = [place.budget for place in taken if not place.bucket.has_room(cost, now_ms, place.rate)]
    if records.address is not None and records.address.others(start.country, now_ms) >= policy.address_countries:
        full.append(Budget.ADDRESS_COUNTRIES)
    if policy.novelty_refuses and not way.warm and is_novel(records.country, now_ms, policy):
        full.append(Budget.NOVELTY)
    if not full:
        return Verdict(counted=True, way=way, cost=cost)
    if mode is Mode.MONITOR or (WIDE.issuperset(full) and records.total.only_reports(now_ms, policy)):
        return Verdict(counted=True, way=way, cost=cost, full=tuple(full))
    of_country, of_total = _probes(records, taken, full, now_ms, policy)
    return Verdict(
        refused=not (of_country or of_total),
        counted=True,
        way=way,
        cost=cost,
        full=tuple(full),
        country_probe=of_country,
        total_probe=of_total,
    )


def is_outage(total: Total, now_ms: int, policy: GuardPolicy) -> bool:
    """Whether even known numbers do not convert: then the integration or the carrier is broken, and nobody pumps."""
    return total.known.now(now_ms, known_rate(policy)) >= policy.outage_known


def is_novel(country: Country, now_ms: int, policy: GuardPolicy) -> bool:
    """Whether a country had more new numbers today than on its best day by far."""
    today = now_ms // DAY_MS
    best = max((count for day, count in country.days.counted.items() if day < today), default=0)
    return country.days.counted.get(today, 0) > max(policy.novelty_floor, policy.novelty_factor * best)


def _passes_in_outage(total: Total, cost: float, limits: Limits, now_ms: int, policy: GuardPolicy) -> bool:
    # When its allowance is spent, the usual budgets judge: a false outage must not refuse those whom they let pass.
    return total.outage.has_room(cost, now_ms, outage_rate(limits, policy))


def _probes(
    records: Records, taken: list[Place], full: list[Budget], now_ms: int, policy: GuardPolicy
) -> tuple[bool, bool]:
    """Whether this start passes as the probe of its country's budgets, and as that of the total's."""
    if not PROBED.issuperset(full):
        return False, False
    of_total = Budget.TOTAL in full
    of_country = full != [Budget.TOTAL]
    for place in taken:
        probes = records.total.probes if place.budget is Budget.TOTAL else records.country.probes
        if place.budget in full and not _is_due(place.bucket, place.rate, probes, now_ms, policy):
            return False, False
    return of_country, of_total


def _is_due(bucket: Bucket, rate: Rate, probes: Probes, now_ms: int, policy: GuardPolicy) -> bool:
    # The refusal that begins a row of probes is no probe itself.
    due = probes.in_row(now_ms, policy) and now_ms >= probes.next_ms
    return due and bucket.now(now_ms, rate) + 1 <= rate.most * policy.overdraft
