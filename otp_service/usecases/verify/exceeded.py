"""Telling of limits that refuse nothing (`mode = "monitor"`) and would have: a metric, and an event a second."""

import logging
from collections.abc import Callable

from ...domain.errors import StoreUnavailable
from ...domain.policy import LimitMode
from .. import ports

GAP_S = 1.0
"""A process records one event of a limit and app in this time."""

_log = logging.getLogger("otp.limits")


class Exceeded:
    """Counts and records. `count` gets app, limit and mode. Safe for many threads: at worst one event more is made."""

    def __init__(
        self,
        record: ports.LimitRecord,
        count: Callable[[str, str, str], object],
        monotonic: Callable[[], float],
    ) -> None:
        self._record = record
        self._count = count
        self._monotonic = monotonic
        self._recorded: dict[tuple[str, str], float] = {}

    def __call__(self, number_hash: str, mask: str, app: str, limit: str, wait_ms: int) -> None:
        """A limit would have refused. What was asked for has passed, so an error of the store is only logged."""
        self._count(app, limit, LimitMode.MONITOR)
        now = self._monotonic()
        if now < self._recorded.get((app, limit), now - GAP_S) + GAP_S:
            return
        self._recorded[app, limit] = now
        try:
            self._record.record_exceeded(number_hash, mask, app, limit, wait_ms)
        except StoreUnavailable:
            _log.warning("an exceeded limit could not be recorded", extra={"app": app, "reason": limit})
