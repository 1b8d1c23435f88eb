"""Watching how much is guessed in each app: what this process judged is counted in the store from time to time.

No check waits for it. A process that dies takes the guesses of a second with it.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from ..domain.errors import StoreUnavailable
from ..domain.guessing import GuessingMode, GuessingState, Level
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
        for name, app in self._apps.items():
            new = sum(self._new[name])
            if now >= self._next_s[name] + (0 if new else LOOK_EVERY_S - COUNT_EVERY_S):
                self._count(app)
                self._next_s[name] = now + COUNT_EVERY_S

    def _count(self, app: App) -> None:
        with self._lock:
            wrong, right = self._new[app.name]
            self._new[app.name] = [0, 0]
        try:
            state = self._guesses.count(app.name, app.guessing, wrong, right)
        except StoreUnavailable:
            with self._lock:
                self._new[app.name][0] += wrong
                self._new[app.name][1] += right
            raise
        self._take(app, state)

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
