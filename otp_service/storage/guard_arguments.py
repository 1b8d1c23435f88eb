"""What the scripts of numbers are told of the pumping guard, and what they answer."""

from functools import cache
from typing import Any

from ..domain.guard.policy import GuardPolicy
from ..domain.guarding import Converted, GuardPlace
from ..domain.starting import StartCommand
from .schema.encodings import GuardedApproval, GuardJudged, GuardTaken, GuardTimes, flag
from .schema.encodings import GuardPlace as PackedPlace


@cache
def _times(known_ms: int, counted_ms: int, sends: int) -> str:
    return GuardTimes.pack(known_ms, counted_ms, sends)


def guard_times(policy: GuardPolicy) -> str:
    """How long a number is known, and what a count covers."""
    return _times(policy.known_for_ms, policy.counted_for_ms, policy.sends_per_count)


def guard_arguments(command: StartCommand) -> dict[str, Any]:
    """Of a start."""
    place = command.guard_place
    return {
        "guard": "" if place is None else command.guard,
        "guard_rules": guard_times(command.app.guard),
        "guard_place": "" if place is None else _packed(place),
        "guard_taken": command.guard_taken,
        "guard_judged": "" if place is None else _judged(place, command),
        "guard_quiet": flag(command.guard_quiet),
    }


def _judged(place: GuardPlace, command: StartCommand) -> str:
    """What an event may hold of it. Nothing was judged where nothing is said of a take."""
    if not command.guard_taken:
        return ""
    _, cost, flags = GuardTaken.parse(command.guard_taken)
    taken = command.guard_taken if place.on_record else GuardTaken.pack("-", cost, flags)
    return GuardJudged.pack(_packed(place), taken, command.guard_turn)


def _packed(place: GuardPlace) -> str:
    return PackedPlace.pack(place.region, place.block_10k, place.block_1k)


def converted_of(app: str, text: str) -> Converted | None:
    """What an approval says of it."""
    if not text:
        return None
    region, block_10k, block_1k, known, taken = GuardedApproval.parse(text)
    return Converted(app, region, block_10k, block_1k, known == "1", taken)
