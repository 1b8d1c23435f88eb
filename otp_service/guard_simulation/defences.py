"""What stands against the attacks: the guard, and two others that the guide compares it with."""

from collections import defaultdict
from typing import Protocol

from ..domain.guard import rules, updates
from ..domain.guard.counters import Bucket, Counters, Rate
from ..domain.guard.policy import DAY_MS, HOUR_MS, GuardPolicy
from ..domain.guard.rules import Start
from .traffic import Attempt


class Defence(Protocol):
    """Decides on starts, learns of approvals."""

    def lets(self, attempt: Attempt) -> bool:
        """Whether a start is sent; it is counted if so."""
        ...

    def approved(self, number: str, country: str, address: str, at_ms: int) -> None:
        """A code was entered."""
        ...


def start_of(number: str, country: str, address: str) -> Start:
    """A start in the guard's terms."""
    return Start(number, *rules.blocks(number), country, address)


class Guard:
    """The guard's own rules."""

    def __init__(self, policy: GuardPolicy | None = None) -> None:
        self.policy = policy or GuardPolicy()
        self.counters = Counters()

    def lets(self, attempt: Attempt) -> bool:
        """Judge and count."""
        start = start_of(attempt.number, attempt.country, attempt.address)
        verdict = rules.judge(self.counters, start, attempt.at_ms, self.policy)
        updates.settle(self.counters, start, verdict, attempt.at_ms, self.policy)
        return not verdict.refused

    def approved(self, number: str, country: str, address: str, at_ms: int) -> None:
        """Give back."""
        updates.approve(self.counters, start_of(number, country, address), at_ms, self.policy)


class PrefixBreaker:
    """A breaker for each block of 10,000 numbers: open for an hour when the last ten sends there were not approved.

    Half open it lets one through every two minutes.
    """

    ROW, OPEN_MS, PROBE_MS = 10, HOUR_MS, 120_000

    def __init__(self) -> None:
        self._rows: dict[str, int] = defaultdict(int)
        self._until: dict[str, int] = {}
        self._probe: dict[str, int] = {}

    def lets(self, attempt: Attempt) -> bool:
        """By the block's row of sends without an approval."""
        block = attempt.number[:-4]
        if attempt.at_ms < self._until.get(block, 0):
            if attempt.at_ms < self._probe[block]:
                return False
            self._probe[block] = attempt.at_ms + self.PROBE_MS
        self._rows[block] += 1
        if self._rows[block] >= self.ROW and attempt.at_ms >= self._until.get(block, 0):
            self._until[block] = attempt.at_ms + self.OPEN_MS
            self._probe[block] = attempt.at_ms + self.PROBE_MS
        return True

    def approved(self, number: str, country: str, address: str, at_ms: int) -> None:
        """An approval closes the breaker."""
        self._rows[number[:-4]] = 0
        self._until.pop(number[:-4], None)


class Unverified:
    """Authgear's budgets of unverified codes, by its published formula, for countries and addresses.

    A country's day: the largest of 20, 0.3 of the best day of the last 14, and 0.3 of the last day's approvals. Its
    hour: the larger of a sixth of that and 0.2 of the last hour's approvals. An address: 5 an hour, 10 a day, 3
    countries a day. It does not tell known numbers from others.
    """

    def __init__(self) -> None:
        self._verified: dict[str, list[int]] = defaultdict(list)
        self._days: dict[str, dict[int, int]] = defaultdict(dict)
        self._buckets: dict[tuple[str, int], Bucket] = defaultdict(Bucket)
        self._countries: dict[str, dict[str, int]] = defaultdict(dict)

    def lets(self, attempt: Attempt) -> bool:
        """All budgets must have room."""
        rows = self._rows(attempt.country, attempt.address, attempt.at_ms)
        met = self._countries[attempt.address]
        others = [one for one, at in met.items() if at > attempt.at_ms - DAY_MS and one != attempt.country]
        if len(others) >= 3 or not all(bucket.has_room(1.0, attempt.at_ms, rate) for bucket, rate in rows):
            return False
        met[attempt.country] = attempt.at_ms
        for bucket, rate in rows:
            bucket.fill(1.0, attempt.at_ms, rate, 1.0)
        return True

    def _rows(self, country: str, address: str, at_ms: int) -> list[tuple[Bucket, Rate]]:
        day, hour = self._limits(country, at_ms)
        rows = ((country, day, DAY_MS), (country, hour, HOUR_MS), (address, 10.0, DAY_MS), (address, 5.0, HOUR_MS))
        return [(self._buckets[name, window], Rate(most, most, window)) for name, most, window in rows]

    def _limits(self, country: str, now_ms: int) -> tuple[float, float]:
        last = self._verified[country]
        while last and last[0] <= now_ms - DAY_MS:
            last.pop(0)
        in_hour = 0
        for at_ms in reversed(last):
            if at_ms <= now_ms - HOUR_MS:
                break
            in_hour += 1
        days, today = self._days[country], now_ms // DAY_MS
        best = max((count for one, count in days.items() if one > today - 14), default=0)
        day = max(20.0, 0.3 * best, 0.3 * len(last))
        return day, max(day / 6, 0.2 * in_hour)

    def approved(self, number: str, country: str, address: str, at_ms: int) -> None:
        """An approval drains one."""
        self._verified[country].append(at_ms)
        days, today = self._days[country], at_ms // DAY_MS
        days[today] = days.get(today, 0) + 1
        for bucket, rate in self._rows(country, address, at_ms):
            bucket.lower(1.0, at_ms, rate)
