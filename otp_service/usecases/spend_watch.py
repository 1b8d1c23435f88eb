"""Watching what apps have spent today: the gauges, and an event and an alert where much of a limit is spent."""

import logging
from collections.abc import Callable, Mapping

from ..clock import rfc3339
from ..domain.policy import App
from ..domain.prices import MICROS
from ..domain.spending import DAY_MS, SpendState, amount
from . import ports

_log = logging.getLogger("otp.guard")


class SpendWatch:
    """`alert` tells the people on call of an app and a percentage. `show(app, spent, limit)` sets the gauges."""

    def __init__(
        self,
        *,
        apps: Mapping[str, App],
        table: ports.SpendTable,
        currency: str,
        alert: Callable[[str, int], object],
        show: Callable[[str, float, float | None], object],
    ) -> None:
        self._apps = apps
        self._table = table
        self._currency = currency
        self._alert = alert
        self._show = show

    def look(self) -> None:
        """Look at each app once. Raises StoreUnavailable."""
        for name, app in self._apps.items():
            state = self._table.read(name)
            limit = app.spend_limit
            self._show(name, state.spent_today / MICROS, None if limit is None else limit / MICROS)
            if limit is not None:
                self._tell(state, limit)

    def _tell(self, state: SpendState, limit: int) -> None:
        for percent in state.reached(limit):
            detail = {
                "day": date_of(state.today),
                "spent": amount(state.spent_today),
                "limit": amount(limit),
                "currency": self._currency,
            }
            # Whoever puts it on record tells the people, so both come once a day.
            if self._table.record_reached(state.app, state.today, percent, detail):
                _log.warning("an app has spent much of its limit", extra={"app": state.app, "reason": f"{percent} %"})
                self._alert(state.app, percent)


def date_of(day: int) -> str:
    """A day as people write it: 2026-11-27."""
    return rfc3339(day * DAY_MS)[:10]
