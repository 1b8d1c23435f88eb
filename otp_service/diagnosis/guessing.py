"""Whether somebody guesses codes of an app over many numbers."""

from collections.abc import Iterator

from ..domain.errors import ServiceError
from ..domain.guessing import GuessingMode, Level
from ..domain.policy import Policy
from ..storage.guesses import Guesses
from ..usecases.guess_watch import told
from .result import CheckResult


def check_guessing(policy: Policy, guesses: Guesses) -> Iterator[CheckResult]:
    """One line for each app that is watched."""
    for name, app in policy.apps.items():
        if app.guessing.mode is GuessingMode.OFF:
            continue
        try:
            state = guesses.count(name, app.guessing, 0, 0)
        except ServiceError as error:
            yield CheckResult(f"guessing of {name}", False, error.detail)
            return
        yield CheckResult(f"guessing of {name}", state.level is Level.USUAL, told(state))
