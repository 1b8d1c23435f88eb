"""What an app has spent on messages in the last days. Amounts are millionths, days UTC days since 1970."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .prices import MICROS

DAY_MS = 86_400_000
LEVELS = (80, 100)
"""Percents of the limit: each is an event and an alert once a day."""
NEARLY = 95
"""Of so many percents the rest is too little for usual messages: a refusal then means that the limit is reached."""
MANY_REFUSED = 10
"""So many messages of a day are not refused by chance: the limit is reached for those that the app sends."""


@dataclass(slots=True)
class CountrySpend:
    """A country on one day. `expected`: prices that were taken for its messages, where the app has a limit.

    `settled`: what the carrier's reports say, by currency, and of how many `messages`.
    """

    day: int
    region: str
    expected: int = 0
    messages: int = 0
    settled: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class SpendState:
    """An app. By day: `counted`, what counts for the limit; `refused`, how many messages that refused."""

    app: str
    today: int
    counted: dict[int, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    places: Sequence[CountrySpend] = ()

    @property
    def spent_today(self) -> int:
        """What counts for today's limit."""
        return self.counted.get(self.today, 0)

    def reached(self, limit: int) -> list[int]:
        """Which of `LEVELS` today has reached.

        A few refusals alone reach none: a dear country needs more than is left for others, and starts at the same
        moment hold prices that are given back.
        """
        percent, refused = 100 * self.spent_today // limit, self.refused.get(self.today, 0)
        if refused >= MANY_REFUSED or (refused and percent >= NEARLY):
            percent = max(percent, 100)
        return [level for level in LEVELS if percent >= level]


def amount(micros: int) -> str:
    """An amount for people, in the currency."""
    return f"{micros / MICROS:.4f}"
