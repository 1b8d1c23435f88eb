"""The budgets of wrong codes of numbers, counted from the record. Pure."""

from collections import OrderedDict
from dataclasses import dataclass, field

from ..domain.explaining.record import CLOCK_MS
from ..domain.person import IN_A_ROW_MS
from ..domain.policy import MAX_CONSECUTIVE_WRONG, Limit
from .recorded_rules import Rules


@dataclass(slots=True)
class _Wrong:
    """Of one number. Times are newest last; `in_a_row` by app."""

    last_ms: int = 0
    times: list[tuple[int, str]] = field(default_factory=list)
    in_a_row: dict[str, int] = field(default_factory=dict)


class NumberBudgets:
    """Numbers that had a wrong code within the time in which one counts: the others are forgotten."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, _Wrong] = OrderedDict()

    def spent(self, number: str, app: str | None, now_ms: int, rules: Rules) -> str | None:
        """Which budget was spent before this guess; None if none was. Clocks are read a little apart."""
        known = self._numbers.get(number)
        if known is None:
            return None
        now_ms += 2 * CLOCK_MS
        own = [at_ms for at_ms, of_app in known.times if of_app == app]
        everywhere = [at_ms for at_ms, _ in known.times]
        if _is_full(own, rules.wrong_codes(app), now_ms):
            return "wrong_codes_per_number"
        if _is_full(everywhere, rules.wrong_codes_everywhere, now_ms):
            return "service.wrong_codes_per_number"
        in_a_row = known.in_a_row.get(app or "", 0)
        is_young = bool(own) and own[-1] + IN_A_ROW_MS > now_ms
        return "consecutive_wrong_codes" if in_a_row >= MAX_CONSECUTIVE_WRONG and is_young else None

    def count(self, number: str, app: str | None, now_ms: int, *, wrong: bool) -> None:
        """Count a guess that was compared: a right one ends the row of wrong ones."""
        if not wrong:
            if number in self._numbers:
                self._numbers[number].in_a_row.pop(app or "", None)
            return
        known = self._numbers.setdefault(number, _Wrong())
        known.last_ms = now_ms
        known.times = [*known.times, (now_ms, app or "")][-MAX_CONSECUTIVE_WRONG:]
        known.in_a_row[app or ""] = known.in_a_row.get(app or "", 0) + 1
        self._numbers.move_to_end(number)
        self._forget(now_ms)

    def lift(self, number: str | None, app: str | None) -> None:
        """A person who supports the owner has lifted it: of one app, or of all."""
        known = self._numbers.get(number or "")
        if known is not None:
            known.times = [one for one in known.times if app is not None and one[1] != app]
            known.in_a_row = {name: count for name, count in known.in_a_row.items() if app not in (None, name)}

    def _forget(self, now_ms: int) -> None:
        while self._numbers:
            number = next(iter(self._numbers))
            if self._numbers[number].last_ms + IN_A_ROW_MS > now_ms:
                return
            del self._numbers[number]


def _is_full(times: list[int], limits: tuple[Limit, ...], now_ms: int) -> bool:
    return any(sum(at_ms + one.per_ms > now_ms for at_ms in times) >= one.limit for one in limits)
