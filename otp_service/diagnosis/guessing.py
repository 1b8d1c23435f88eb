"""Whether somebody guesses codes of an app over many numbers."""

from collections.abc import Iterator

from ..domain.errors import StoreUnavailable
from ..domain.guessing import GuessingMode, Level, NewGuesses
from ..domain.policy import Policy
from ..storage.guesses import Guesses
from ..usecases.guess_watch import told
from .result import CheckResult


def check_guessing(policy: Policy, guesses: Guesses) -> Iterator[CheckResult]:
    """One line for each app that is watched."""
    watched = {name: app.guessing for name, app in policy.apps.items() if app.guessing.mode is not GuessingMode.OFF}
    states = guesses.count([NewGuesses(name, rule) for name, rule in watched.items()])
    for name, state in zip(watched, states, strict=True):
        if isinstance(state, StoreUnavailable):
            yield CheckResult(f"guessing of {name}", False, state.detail)
        else:
            yield CheckResult(f"guessing of {name}", state.level is Level.USUAL, told(state))
