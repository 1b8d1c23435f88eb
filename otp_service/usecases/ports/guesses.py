"""How much is guessed in each app, over all processes."""

from typing import Protocol

from ...domain.guessing import GuessingRule, GuessingState


class Guesses(Protocol):
    """The judged guesses of the last hour by app."""

    def count(self, app: str, rule: GuessingRule, wrong: int, approved: int) -> GuessingState:
        """Count so many, or look (0 and 0); the level of the app by this rule."""
        ...
