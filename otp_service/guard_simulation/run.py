"""Running shapes against defences, and what is counted."""

import heapq
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ..domain.guard.policy import DAY_MS
from .defences import Defence, Guard, PrefixBreaker, Unverified
from .shapes import WARM_UP_HOURS, Shape
from .traffic import Attempt, Traffic

GUARD, PREFIX_BREAKER, UNVERIFIED = "guard", "prefix_breaker", "unverified_budgets"
DEFENCES: Mapping[str, Callable[[], Defence]] = {GUARD: Guard, PREFIX_BREAKER: PrefixBreaker, UNVERIFIED: Unverified}


@dataclass(slots=True)
class Outcome:
    """One shape against one defence, with one seed.

    `pumped`: messages that the attack got, by day. `tripped_ms`: from its begin to the first start that was refused.
    """

    honest: int = 0
    honest_refused: int = 0
    known_refused: int = 0
    attacks: int = 0
    pumped: dict[int, int] = field(default_factory=dict)
    tripped_ms: int | None = None


class Run:
    """A defence under traffic."""

    def __init__(self, defence: Defence) -> None:
        self.defence = defence
        self._known: set[str] = set()
        self._due: list[tuple[int, str, str, str]] = []

    def regulars(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """People who were approved before."""
        for number, country, at_ms in sorted(rows, key=lambda row: row[2]):
            self.defence.approved(number, country, "", at_ms)
            self._known.add(number)

    def play(self, attempts: Sequence[Attempt]) -> Outcome:
        """Put every start to the defence, in order of time."""
        outcome, begin = Outcome(), attempts[0].at_ms
        for attempt in attempts:
            self._approve(attempt.at_ms)
            sent = self.defence.lets(attempt)
            if sent and attempt.approved_in_ms:
                due = (attempt.at_ms + attempt.approved_in_ms, attempt.number, attempt.country, attempt.address)
                heapq.heappush(self._due, due)
            if attempt.attack:
                _note_attack(outcome, attempt.at_ms - begin, sent=sent)
            else:
                _note_honest(outcome, known=attempt.number in self._known, sent=sent)
        return outcome

    def _approve(self, now_ms: int) -> None:
        while self._due and self._due[0][0] <= now_ms:
            at_ms, number, country, address = heapq.heappop(self._due)
            self.defence.approved(number, country, address, at_ms)
            self._known.add(number)


def _note_attack(outcome: Outcome, after_ms: int, *, sent: bool) -> None:
    outcome.attacks += 1
    if sent:
        outcome.pumped[after_ms // DAY_MS] = outcome.pumped.get(after_ms // DAY_MS, 0) + 1
    elif outcome.tripped_ms is None:
        outcome.tripped_ms = after_ms


def _note_honest(outcome: Outcome, *, known: bool, sent: bool) -> None:
    outcome.honest += 1
    outcome.honest_refused += not sent
    outcome.known_refused += known and not sent


def one_seed(
    seed: int, per_day: int, shapes: Sequence[Shape], defences: Mapping[str, Callable[[], Defence]]
) -> Iterator[tuple[str, str, Outcome]]:
    """Every shape against every defence, after the same honest weeks: shape, defence, outcome."""
    traffic = Traffic(per_day, _chance(seed, per_day, "honest weeks"))
    regulars = list(traffic.regulars())
    weeks = sorted(traffic.hours(0, WARM_UP_HOURS), key=lambda attempt: attempt.at_ms)
    people, warm = pickle.dumps(traffic.people), {}
    for name, make in defences.items():
        run = Run(make())
        run.regulars(regulars)
        run.play(weeks)
        warm[name] = pickle.dumps(run)
    for shape in shapes:
        chance = _chance(seed, per_day, shape.name)
        attempts = shape.attempts(Traffic(per_day, chance, _copy(people)), chance)
        for name, state in warm.items():
            yield shape.name, name, _copy(state).play(attempts)


def _chance(seed: int, per_day: int, what: str) -> Random:
    return Random(f"{seed} {per_day} {what}")  # noqa: S311 - a simulation must repeat itself


def _copy(pickled: bytes) -> Any:
    return pickle.loads(pickled)  # noqa: S301 - our own, a moment ago
