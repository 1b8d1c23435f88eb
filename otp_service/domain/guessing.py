"""Guessing over many numbers of one app: when there is so much of it that the app's codes are made harder to guess.

A budget of one number does not notice somebody who makes a few guesses at each of many. So the wrong codes of an app
are compared with its approvals of the same hour. People mistype one code in ten, perhaps one in five; where wrong codes
are half as many as approvals, somebody guesses. Nobody is refused for it: new verifications allow fewer guesses, and
where the app allows it their codes have one digit more. It ends by itself.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

WINDOW_MS, BUCKET_MS = 3_600_000, 300_000
"""The wrong codes and approvals of an hour count, in buckets of five minutes."""

HOLD_MS = 600_000
"""A level stays for so long after the last time that the figures asked for it."""


class GuessingMode(StrEnum):
    """What is done about guessing."""

    OFF = "off"
    ALERT = "alert"
    ENFORCE = "enforce"


class Level(IntEnum):
    """How much is done."""

    USUAL = 0
    FEWER_TRIES = 1
    FEWEST_TRIES = 2
    """One digit more, too, where the app allows it."""


MAX_CHECKS = {Level.FEWER_TRIES: 3, Level.FEWEST_TRIES: 2}
"""Guesses of a new verification, where the app's own limit is not lower."""


@dataclass(frozen=True, slots=True)
class GuessingRule:
    """When an app's codes are made harder to guess.

    At `wrong_codes` in an hour and more than `per_approval` for each approval; at twice of both even harder.
    """

    mode: GuessingMode = GuessingMode.ENFORCE
    wrong_codes: int = 300
    per_approval: float = 0.5
    longer_codes: bool = False


@dataclass(frozen=True, slots=True)
class NewGuesses:
    """Guesses of an app that are to be counted; none of them is a look."""

    app: str
    rule: GuessingRule
    wrong: int = 0
    approved: int = 0


@dataclass(frozen=True, slots=True)
class GuessingState:
    """What the store knows of an app: its level, the figures of the last hour, and the level before this look."""

    level: Level = Level.USUAL
    wrong: int = 0
    approved: int = 0
    before: Level = Level.USUAL

    @property
    def has_changed(self) -> bool:
        """Whether the level is another one than before this look."""
        return self.level is not self.before


def wanted_level(rule: GuessingRule, wrong: int, approved: int) -> Level:
    """The level that these figures of an hour ask for."""
    if wrong < rule.wrong_codes or wrong <= rule.per_approval * approved:
        return Level.USUAL
    if wrong < 2 * rule.wrong_codes or wrong <= 2 * rule.per_approval * approved:
        return Level.FEWER_TRIES
    return Level.FEWEST_TRIES
