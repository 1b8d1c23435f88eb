"""How the guard's counters change: after a start that was judged, an approval, and a send that was never accepted.

Each function changes the counters in place and returns what is worth an event.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from .counters import PRESSED_MS, Address, Bucket, Counters, Country, Number, Probes, Taken
from .places import Limits, Place, Records, Way, known_rate, places
from .policy import DAY_MS, PROBED, Budget, GuardPolicy
from .rules import Start, Verdict, is_novel, is_outage

KNOWN_GAP_MS = DAY_MS
"""Starts of a known number within this time are one, so that few numbers cannot make it look like an outage."""


class Happening(StrEnum):
    """What an event or an alert is made of."""

    TRIPPED = "tripped"
    PROBED = "probed"
    CONVERTED = "converted"
    NOVELTY = "novelty"
    OUTAGE = "outage"


@dataclass(frozen=True, slots=True)
class Report:
    """Something happened to a budget. `country`: "" for budgets of all countries."""

    what: Happening
    budget: Budget
    country: str


def settle(counters: Counters, start: Start, verdict: Verdict, now_ms: int, policy: GuardPolicy) -> list[Report]:
    """Count a start that was judged now: what it takes if it passes, the refusal if it does not.

    Not for a number's refusal within a second of its last one: the store neither counts that nor has it on record.
    """
    counters.total.started_ms = counters.total.started_ms or now_ms
    if verdict.known:
        return _known_start(counters, start, now_ms, policy)
    if verdict.covered:
        counters.numbers[start.number].sends += 1
    if not verdict.counted:
        return []
    records = _kept(counters, start, create=not verdict.refused)
    reports = _press(records, start, verdict, now_ms, policy)
    if verdict.refused:
        return reports
    number = counters.numbers.setdefault(start.number, Number())
    return reports + _count(records, number, start, verdict, now_ms=now_ms, policy=policy)


def _kept(counters: Counters, start: Start, *, create: bool) -> Records:
    """The records of a start, to be changed. A refusal begins none but its country's."""
    country = counters.countries.setdefault(start.country, Country())
    if create:
        return Records(
            counters.blocks_10k.setdefault(start.block_10k, Bucket()),
            counters.blocks_1k.setdefault(start.block_1k, Bucket()),
            counters.addresses.setdefault(start.address, Address()) if start.address else None,
            country,
            counters.total,
        )
    return Records(
        counters.blocks_10k.get(start.block_10k) or Bucket(),
        counters.blocks_1k.get(start.block_1k) or Bucket(),
        counters.addresses.get(start.address),
        country,
        counters.total,
    )


def _known_start(counters: Counters, start: Start, now_ms: int, policy: GuardPolicy) -> list[Report]:
    return count_known(counters, now_ms, policy) if begin_known(counters.numbers[start.number], now_ms) else []


def begin_known(number: Number, now_ms: int) -> bool:
    """A start of a known number: whether it counts as one."""
    if now_ms < number.started_ms + KNOWN_GAP_MS:
        return False
    number.started_ms = now_ms
    return True


def count_known(counters: Counters, now_ms: int, policy: GuardPolicy) -> list[Report]:
    """What that does to the budgets."""
    total = counters.total
    before = is_outage(total, now_ms, policy)
    total.known.fill(1.0, now_ms, known_rate(policy), policy.overdraft)
    begins = not before and is_outage(total, now_ms, policy)
    return [Report(Happening.OUTAGE, Budget.OUTAGE, "")] if begins else []


def _press(records: Records, start: Start, verdict: Verdict, now_ms: int, policy: GuardPolicy) -> list[Report]:
    """Note which budgets were full."""
    if not verdict.full:
        return []
    limits = Limits.of(records.total, records.country, now_ms, policy)
    taken = places(records, verdict.way, limits, policy)
    reports = _press_others(records, taken, start, verdict, now_ms)
    for place in taken:
        if place.budget in verdict.full:
            begins = place.bucket.press(now_ms, place.rate)
            if begins:
                reports.append(_report(Happening.TRIPPED, place.budget, start))
            if place.budget in PROBED:
                _row(records, place.budget).press(now_ms, policy)
    return reports


def _press_others(
    records: Records, taken: Sequence[Place], start: Start, verdict: Verdict, now_ms: int
) -> list[Report]:
    """Those without a bucket: an address shares the time of its last refusal, a country has a time of its own."""
    begins = []
    if Budget.ADDRESS_COUNTRIES in verdict.full:
        (address,) = [one for one in taken if one.budget is Budget.ADDRESS]
        if address.bucket.press(now_ms, address.rate):
            begins.append(Budget.ADDRESS_COUNTRIES)
    if Budget.NOVELTY in verdict.full:
        if records.country.novelty_ms + PRESSED_MS <= now_ms:
            begins.append(Budget.NOVELTY)
        records.country.novelty_ms = now_ms
    return [_report(Happening.TRIPPED, budget, start) for budget in begins]


def _row(records: Records, budget: Budget) -> Probes:
    return records.total.probes if budget is Budget.TOTAL else records.country.probes


def _report(what: Happening, budget: Budget, start: Start) -> Report:
    everywhere = budget in (Budget.TOTAL, Budget.TOTAL_WARM, Budget.OUTAGE)
    return Report(what, budget, "" if everywhere else start.country)


def _count(
    records: Records, number: Number, start: Start, verdict: Verdict, *, now_ms: int, policy: GuardPolicy
) -> list[Report]:
    """Fill every budget of a send that passes."""
    limits = Limits.of(records.total, records.country, now_ms, policy)
    for place in places(records, verdict.way, limits, policy):
        place.bucket.fill(verdict.cost, now_ms, place.rate, policy.overdraft)
    if records.address is not None:
        _note_country(records.address, start.country, now_ms, policy)
    _remember(number, start, verdict, now_ms, policy)
    reports = []
    for is_probe, budget in ((verdict.country_probe, Budget.COUNTRY), (verdict.total_probe, Budget.TOTAL)):
        if is_probe:
            _row(records, budget).passed(now_ms, policy)
            reports.append(_report(Happening.PROBED, budget, start))
    return reports + _novelty(records.country, start, now_ms, policy)


def _note_country(address: Address, country: str, now_ms: int, policy: GuardPolicy) -> None:
    for one in [one for one, at_ms in address.countries.items() if at_ms <= now_ms - DAY_MS]:
        del address.countries[one]
    if country in address.countries or len(address.countries) < policy.address_countries:
        address.countries[country] = now_ms


def _remember(number: Number, start: Start, verdict: Verdict, now_ms: int, policy: GuardPolicy) -> None:
    way = verdict.way
    taken = Taken(
        start.address, verdict.cost, way.warm, way.outage, way.total, verdict.country_probe, verdict.total_probe
    )
    in_time = now_ms < number.counted_ms + policy.counted_for_ms
    number.taken = (*number.taken, taken) if in_time else (taken,)
    number.counted_ms, number.sends = (number.counted_ms if in_time else now_ms), 1


def _novelty(country: Country, start: Start, now_ms: int, policy: GuardPolicy) -> list[Report]:
    was_novel = is_novel(country, now_ms, policy)
    country.days.add(country.days.counted, now_ms)
    # Once a day: by the count that passes the limit.
    is_new = not was_novel and is_novel(country, now_ms, policy)
    return [_report(Happening.NOVELTY, Budget.NOVELTY, start)] if is_new else []


def approve(counters: Counters, start: Start, now_ms: int, policy: GuardPolicy) -> list[Report]:
    """A number was approved, by any factor, or its login ended well by another way: give back what it took.

    Of `start` only number, blocks and country are looked at.
    """
    one = convert(counters.numbers.setdefault(start.number, Number()), now_ms, policy)
    return count_conversion(counters, start, one, now_ms, policy)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What an approval tells the budgets: whether the number was known before, and what is to be given back."""

    known: bool
    taken: tuple[Taken, ...]


def convert(number: Number, now_ms: int, policy: GuardPolicy) -> Conversion:
    """The number is known from now on."""
    one = Conversion(number.is_known(now_ms, policy), _take_out(number, now_ms, policy))
    number.approved_ms = now_ms
    return one


def count_conversion(
    counters: Counters, start: Start, one: Conversion, now_ms: int, policy: GuardPolicy
) -> list[Report]:
    """What an approval does to the budgets. Of `start` only blocks and country are looked at."""
    total, country = counters.total, counters.countries.setdefault(start.country, Country())
    if one.known:
        total.known.lower(2.0, now_ms, known_rate(policy))
    else:
        for days in (country.days, total.days):
            days.add(days.approved, now_ms)
    total.approvals += 1
    country.warm_up(start.block_10k, now_ms, policy)
    return _give_back(counters, start, one.taken, now_ms, policy, converted=True)


def give_back(counters: Counters, start: Start, now_ms: int, policy: GuardPolicy) -> None:
    """Give back what a number's sends took: none of them was accepted."""
    number = counters.numbers.get(start.number)
    if number is not None:
        _give_back(counters, start, _take_out(number, now_ms, policy), now_ms, policy, converted=False)


def _take_out(number: Number, now_ms: int, policy: GuardPolicy) -> tuple[Taken, ...]:
    """End the number's count; what it took, as long as it may be given back."""
    taken = number.taken if now_ms < number.counted_ms + policy.counted_for_ms else ()
    number.taken, number.counted_ms, number.sends = (), 0, 0
    return taken


def _give_back(
    counters: Counters, start: Start, sends: Sequence[Taken], now_ms: int, policy: GuardPolicy, *, converted: bool
) -> list[Report]:
    reports: list[Report] = []
    for place, taken in enumerate(sends):
        # The credit is for the person, not for each send.
        credit = policy.credit if converted and place == 0 else 0.0
        records = _kept(counters, replace(start, address=taken.address), create=False)
        _release(records, start, taken, taken.cost * (1 + credit), now_ms=now_ms, policy=policy)
        if converted:
            reports += _converted(records, start, taken, now_ms, policy)
    return reports


def let_pass(counters: Counters, name: str, now_ms: int, policy: GuardPolicy) -> None:
    """A lift: a count that took nothing pays for the number's next sends. An earlier one's is given back as before."""
    number = counters.numbers.setdefault(name, Number())
    if now_ms >= number.counted_ms + policy.counted_for_ms:
        number.taken = ()
    number.counted_ms, number.sends = now_ms, 0


def uncount(counters: Counters, start: Start, now_ms: int, policy: GuardPolicy) -> Taken | None:
    """A counted send was never accepted: its count pays for one less. What it took, if it was the last of them."""
    number = counters.numbers.get(start.number)
    if number is None or not (number.taken and number.sends) or now_ms >= number.counted_ms + policy.counted_for_ms:
        return None
    number.sends -= 1
    if number.sends:
        return None
    *before, last = number.taken
    number.taken = tuple(before)
    number.counted_ms, number.sends = (number.counted_ms, policy.sends_per_count) if before else (0, 0)
    return last


def give_back_unsent(counters: Counters, start: Start, taken: Taken, now_ms: int, policy: GuardPolicy) -> None:
    """Give back what `uncount` said. Of `start` only blocks and country are looked at."""
    records = _kept(counters, replace(start, address=taken.address), create=False)
    _release(records, start, taken, taken.cost, now_ms=now_ms, policy=policy)


def _release(records: Records, start: Start, taken: Taken, amount: float, *, now_ms: int, policy: GuardPolicy) -> None:
    limits = Limits.of(records.total, records.country, now_ms, policy)
    for place in places(records, Way(taken.warm, taken.outage, taken.total), limits, policy):
        place.bucket.lower(amount, now_ms, place.rate)
    if records.address is not None:
        records.address.countries.pop(start.country, None)


def _converted(records: Records, start: Start, taken: Taken, now_ms: int, policy: GuardPolicy) -> list[Report]:
    reports = []
    for was_probe, budget in ((taken.country_probe, Budget.COUNTRY), (taken.total_probe, Budget.TOTAL)):
        if was_probe:
            _row(records, budget).converted(now_ms, policy)
            reports.append(_report(Happening.CONVERTED, budget, start))
    return reports
