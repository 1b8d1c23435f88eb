"""How much is guessed in each app, over all processes."""

from collections.abc import Sequence
from typing import Protocol

from ...domain.errors import StoreUnavailable
from ...domain.guessing import GuessingState, NewGuesses


class Guesses(Protocol):
    """The judged guesses of the last hour by app."""

    def count(self, new: Sequence[NewGuesses]) -> Sequence[GuessingState | StoreUnavailable]:
        """Count guesses of these apps; the state of each, or that the store does not answer for it."""
        ...
