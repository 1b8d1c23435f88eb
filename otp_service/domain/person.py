"""What stands against a person: budgets, ladder and caps of one number, counted as the scripts count them.

`storage/lua/_limits.lua` and `_sends.lua` have the same rules for what refuses; these are for people who ask why.
Times are Unix milliseconds of the store's clock, newest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .policy import MAX_CONSECUTIVE_WRONG, App, Limit, NumberLimits

LADDER_MS = 3_600_000
"""Sends within this time are steps of the ladder."""

IN_A_ROW_MS = 30 * 86_400_000
"""So long wrong codes in a row are remembered after the last of them."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One send to the number. Without app and purpose: an approval followed; without purpose: the store ended it."""

    at_ms: int
    app: str
    purpose: str


@dataclass(frozen=True, slots=True)
class WrongCodes:
    """A number's wrong codes in one app."""

    in_a_row: int = 0
    last_ms: int = 0
    times: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the store remembers of a number at `now_ms`. `latest`: the newest verification of app and purpose."""

    now_ms: int
    sends: Sequence[Sent] = ()
    wrong: Mapping[str, WrongCodes] = field(default_factory=dict)
    wrong_everywhere: Sequence[int] = ()
    starts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    latest: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit as it stands: `used` of it in its window, and how long it refuses (0 if it does not).

    `code`: what a start is refused with while it does. `app` None: over all apps. `purpose`: of a ladder.
    `is_own`: it counts this number alone, so that a lift takes it away. `is_monitored`: it refuses nothing.
    `used` None: other apps count in it too, and an app does not learn how much.
    """

    name: str
    code: str
    limit: int
    per_ms: int
    used: int | None
    wait_ms: int
    app: str | None = None
    purpose: str | None = None
    is_own: bool = True
    is_monitored: bool = False


@dataclass(frozen=True, slots=True)
class Also:
    """What a lift takes away beside what the number's hash holds. `names`: what is on record for it.

    `let_pass`: the apps whose pumping guard lets the next sends pass, and for how many milliseconds.
    """

    names: Sequence[str] = ()
    let_pass: Mapping[str, int] = field(default_factory=dict)


_WRONG, _LADDER, _CAPS = "too_many_wrong_codes", "resend_too_soon", "rate_limited"


def budgets(known: Remembered, app: App, everywhere: NumberLimits) -> list[Budget]:
    """Every limit that the number meets in this app, those over all apps included."""
    wrong, starts = known.wrong.get(app.name, WrongCodes()), known.starts.get(app.name, ())
    now, all_wrong = known.now_ms, known.wrong_everywhere
    return [
        *(_window("wrong_codes_per_number", wrong.times, one, now, app.name) for one in app.wrong_codes_per_number),
        _in_a_row(wrong, now, app.name),
        *(_window("service.wrong_codes_per_number", all_wrong, one, now) for one in everywhere.wrong_codes),
        *_ladders(known, app),
        *_caps(known, everywhere.sends),
        *(_window("starts_per_number", starts, one, now, app.name) for one in app.starts_per_number),
    ]


def _window(name: str, times: Sequence[int], limit: Limit, now: int, app: str | None = None) -> Budget:
    code = _WRONG if name.endswith("wrong_codes_per_number") else _CAPS
    return Budget(name, code, limit.limit, limit.per_ms, _used(times, limit, now), window_wait(times, limit, now), app)


def _used(times: Sequence[int], limit: Limit, now: int) -> int:
    return sum(at + limit.per_ms > now for at in times)


def window_wait(times: Sequence[int], limit: Limit, now: int) -> int:
    """Milliseconds until a sliding window lets one more through; 0 if it does."""
    if len(times) < limit.limit:
        return 0
    return max(0, min(limit.per_ms, times[limit.limit - 1] + limit.per_ms - now))


def _in_a_row(wrong: WrongCodes, now: int, app: str) -> Budget:
    ends = wrong.last_ms + IN_A_ROW_MS
    count = wrong.in_a_row if ends > now else 0
    wait = min(IN_A_ROW_MS, ends - now) if count >= MAX_CONSECUTIVE_WRONG else 0
    return Budget("consecutive_wrong_codes", _WRONG, MAX_CONSECUTIVE_WRONG, IN_A_ROW_MS, count, wait, app)


def _caps(known: Remembered, limits: Sequence[Limit]) -> list[Budget]:
    longest = max((one.per_ms for one in limits), default=0)
    found = []
    for one in limits:
        times = [send.at_ms for send in known.sends if one.per_ms == longest or send.app]
        found.append(_window("service.sends_per_number", times, one, known.now_ms))
    return found


def _ladders(known: Remembered, app: App) -> list[Budget]:
    purposes = dict.fromkeys(send.purpose for send in known.sends if send.app == app.name and send.purpose)
    found = []
    for purpose in purposes:
        own = [send.at_ms for send in known.sends if (send.app, send.purpose) == (app.name, purpose)]
        used = _used(own, Limit(1, LADDER_MS), known.now_ms)
        wait = ladder_wait(own, app.resend_after_ms, known.now_ms)
        steps = len(app.resend_after_ms) + 1
        found.append(Budget("resend_after", _LADDER, steps, LADDER_MS, used, wait, app.name, purpose))
    return found


def ladder_wait(own: Sequence[int], waits: Sequence[int], now: int) -> int:
    """Milliseconds until the ladder lets one more send through; 0 if it does. `own`: the sends of app and purpose."""
    at, past = now, [min(sent, now) for sent in own]
    while waits:
        young = [sent for sent in past if sent + LADDER_MS > at]
        if not young:
            break
        free = young[0] + waits[min(len(young), len(waits)) - 1]
        if free <= at:
            break
        at = min(free, young[-1] + LADDER_MS)
    return at - now
