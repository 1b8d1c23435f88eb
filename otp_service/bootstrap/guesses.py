"""The watch over guessing in each app."""

import time
from collections.abc import Callable

from .. import telemetry
from ..config import Settings
from ..storage.guesses import Guesses
from ..usecases.guess_watch import GuessWatch
from .senders import alert
from .stores import Stores


def guess_watch(settings: Settings, stores: Stores, monotonic: Callable[[], float] = time.monotonic) -> GuessWatch:
    """The watch of one process; `stores` works in threads."""
    return GuessWatch(
        apps=settings.policy.apps,
        guesses=Guesses(stores.scripts, stores.keys),
        monotonic=monotonic,
        alert=alert(settings, stores).guessing,
        show=lambda app, level: telemetry.child(telemetry.GUESSING, app).set(level),
    )
