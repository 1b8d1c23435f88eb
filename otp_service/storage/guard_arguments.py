"""What the scripts of numbers are told of the pumping guard and of the day's spending, and what they answer."""

from functools import cache
from typing import Any

from ..domain.guard.policy import GuardPolicy
from ..domain.guarding import Converted, GuardPlace, GuardVerdict, Report
from ..domain.starting import StartCommand
from .arguments import spend_text
from .schema import Keys, guard_numbers
from .schema.encodings import GuardedApproval, GuardJudged, GuardReport, GuardStart, GuardTaken, GuardTimes, flag
from .schema.encodings import GuardPlace as PackedPlace

BUDGETS = ("total", "country", "blocks", "addresses")
"""The names of the keys of budgets. Where a script does not ask them, the number's key stands in their place."""


@cache
def _times(known_ms: int, counted_ms: int, sends: int) -> str:
    return GuardTimes.pack(known_ms, counted_ms, sends)


def guard_times(policy: GuardPolicy) -> str:
    """How long a number is known, and what a count covers."""
    return _times(policy.known_for_ms, policy.counted_for_ms, policy.sends_per_count)


def budget_keys(keys: Keys, app: str, region: str) -> dict[str, str]:
    """Where the budgets of an app are that a start in this country fills. Do not change it: it is made once."""
    known = keys.budgets.get((app, region))
    if known is None:
        known = keys.budgets[app, region] = _new_budget_keys(keys, app, region)
    return known


def _new_budget_keys(keys: Keys, app: str, region: str) -> dict[str, str]:
    return {
        "total": keys.total(app),
        "country": keys.country(app, region),
        "blocks": keys.blocks(app, region),
        "addresses": keys.addresses(app),
    }


def guard_arguments(command: StartCommand, *, asks_guard: bool) -> dict[str, Any]:
    """Of a start. `asks_guard`: the script asks the budgets, where they have not been asked."""
    place, policy = command.guard_place, command.app.guard
    asks_guard = asks_guard and place is not None
    return {
        "guard": "" if place is None else command.guard,
        "guard_rules": guard_times(command.app.guard),
        "guard_place": "" if place is None else _packed(place),
        "guard_taken": command.guard_taken,
        "guard_judged": "" if place is None else _judged(place, command),
        "guard_quiet": flag(command.guard_quiet),
        "guard_policy": packed_policy(policy) if asks_guard else "",
        "guard_start": _start(place) if asks_guard and place is not None else "",
        "spend": spend_text(command.spend),
    }


def guard_keys(keys: Keys, command: StartCommand, *, asks_guard: bool) -> dict[str, str]:
    """Of a start. Where the script does not ask the budgets, the number's key stands in their place, in its slot."""
    place = command.guard_place
    if asks_guard and place is not None:
        return budget_keys(keys, command.app.name, place.region)
    return dict.fromkeys(BUDGETS, keys.number(command.reference.number_hash))


def _judged(place: GuardPlace, command: StartCommand) -> str:
    """What an event may hold of it. Nothing was judged where nothing is said of a take."""
    if not command.guard_taken:
        return ""
    _, cost, flags = GuardTaken.parse(command.guard_taken)
    taken = command.guard_taken if place.on_record else GuardTaken.pack("-", cost, flags)
    return GuardJudged.pack(_packed(place), taken, command.guard_turn)


def _start(place: GuardPlace) -> str:
    return GuardStart.pack(place.mode, place.address, repr(place.cost), flag(place.on_record))


def _packed(place: GuardPlace) -> str:
    return PackedPlace.pack(place.region, place.block_10k, place.block_1k)


def verdict_of(reply: Any, place: GuardPlace | None) -> GuardVerdict | None:
    """What the budgets said of a start; None if they were not asked."""
    if not reply or place is None:
        return None
    refused, flags, full, reports, turn = reply
    taken = GuardTaken.pack(place.address or "-", repr(place.cost), flags)
    return GuardVerdict(refused == "1", tuple(full.split(",")) if full else (), taken, reports_of(reports), turn)


def reports_of(text: str) -> tuple[Report, ...]:
    """What happened to budgets."""
    return tuple(Report(*GuardReport.parse(one)) for one in text.split(",") if one)


_packed_policies: dict[int, tuple[GuardPolicy, bytes]] = {}


def packed_policy(policy: GuardPolicy) -> bytes:
    """The numbers of a policy as the scripts read them."""
    # By identity: a policy holds a mapping and has no hash, and there is one for each app.
    known = _packed_policies.get(id(policy))
    if known is None or known[0] is not policy:
        known = _packed_policies[id(policy)] = (policy, guard_numbers.pack(policy))
    return known[1]


def converted_of(app: str, text: str) -> Converted | None:
    """What an approval says of it."""
    if not text:
        return None
    region, block_10k, block_1k, known, taken = GuardedApproval.parse(text)
    return Converted(app, region, block_10k, block_1k, known == "1", taken)
