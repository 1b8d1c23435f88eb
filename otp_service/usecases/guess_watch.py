"""Watching how much is guessed in each app: what this process judged is counted in the store from time to time.

No check waits for it. A process that dies takes the guesses of a second with it.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from ..domain.errors import StoreUnavailable
from ..domain.guessing import GuessingMode, GuessingState, Level, NewGuesses
from ..domain.policy import App
from . import ports

COUNT_EVERY_S, LOOK_EVERY_S = 1.0, 5.0
"""Guesses are counted after a second; what other processes counted is known after five."""

_log = logging.getLogger("otp.guessing")


class Judged(Protocol):
    """Is told of each guess that was judged."""

    def __call__(self, app: str, *, right: bool) -> None: ...


class GuessWatch:
    """The watch of one process. Safe for many threads.

    `alert` tells the people on call of an app and its new level, `show` sets the gauge of an app.
    """

    def __init__(
        self,
        *,
        apps: Mapping[str, App],
        guesses: ports.Guesses,
        monotonic: Callable[[], float],
        alert: Callable[[str, int], None],
        show: Callable[[str, int], None],
    ) -> None:
        self._apps = {name: app for name, app in apps.items() if app.guessing.mode is not GuessingMode.OFF}
        self._guesses = guesses
        self._monotonic = monotonic
        self._alert = alert
        self._show = show
        self._lock = threading.Lock()
        self._new = {name: [0, 0] for name in self._apps}
        self._next_s = dict.fromkeys(self._apps, 0.0)
        self._hardened: dict[str, App] = {}

    def app(self, app: App) -> App:
        """The app as a new verification is to see it."""
        return self._hardened.get(app.name, app)

    def judged(self, app: str, *, right: bool) -> None:
        """A guess was judged. Never waits."""
        if app in self._new:
            with self._lock:
                self._new[app][right] += 1

    def count(self) -> None:
        """Count what was judged, where it is time. Raises StoreUnavailable, and then counts it later."""
        now = self._monotonic()
        due = [name for name in self._apps if now >= self._next_s[name] + self._patience_s(name)]
        new = [self._taken(name) for name in due]
        failures = [self._settled(one, state, now) for one, state in zip(new, self._guesses.count(new), strict=True)]
        for failure in filter(None, failures):
            raise failure

    def _patience_s(self, name: str) -> float:
        return 0.0 if any(self._new[name]) else LOOK_EVERY_S - COUNT_EVERY_S

    def _taken(self, name: str) -> NewGuesses:
        with self._lock:
            (wrong, approved), self._new[name] = self._new[name], [0, 0]
        return NewGuesses(name, self._apps[name].guessing, wrong, approved)

    def _settled(self, one: NewGuesses, state: GuessingState | StoreUnavailable, now: float) -> StoreUnavailable | None:
        if isinstance(state, StoreUnavailable):
            with self._lock:
                self._new[one.app][0] += one.wrong
                self._new[one.app][1] += one.approved
            return state
        self._next_s[one.app] = now + COUNT_EVERY_S
        self._take(self._apps[one.app], state)
        return None

    def _take(self, app: App, state: GuessingState) -> None:
        self._hardened[app.name] = app.hardened(state.level)
        self._show(app.name, state.level)
        if state.has_changed:
            facts = {"app": app.name, "state": state.level.name.lower()}
            _log.warning("guessing over many numbers: the level of an app has changed", extra=facts)
            if state.level > state.before:
                self._alert(app.name, state.level)


def told(state: GuessingState) -> str:
    """The state in words for people."""
    figures = f"{state.wrong} wrong codes and {state.approved} approvals in the last hour"
    if state.level is Level.USUAL:
        return figures
    return f"somebody guesses codes: {figures}; see guessing in the guide of operation"
