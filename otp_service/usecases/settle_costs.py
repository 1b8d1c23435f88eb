"""Counting what the carrier says that messages cost: for the figures, and for what an app may spend in a day."""

import logging
from collections.abc import Callable

from ..domain import phone
from ..domain.delivery import DeliveryReport
from ..domain.errors import InvalidNumber, StoreUnavailable
from ..domain.guarding import NO_REGION
from ..domain.outbox import ReportOutcome
from ..domain.prices import MICROS
from . import ports

Settle = Callable[[ReportOutcome, DeliveryReport], object]
"""Is told of each report that was applied."""

_log = logging.getLogger("otp.receive")


def settle_nothing(_: ReportOutcome, __: DeliveryReport) -> None:
    """Where nobody counts costs."""


class SettleCosts:
    """Safe for many threads. `currency`: that of the prices.

    `count` counts what is new: app, country, currency, amount.
    """

    def __init__(
        self, *, table: ports.SpendTable, currency: str, count: Callable[[str, str, str, float], object]
    ) -> None:
        self._table = table
        self._currency = currency
        self._count = count

    def __call__(self, applied: ReportOutcome, report: DeliveryReport) -> None:
        """Count the cost of a report, if it is news. Never raises: the report was applied, and comes no more."""
        one, cost = applied.settlement, report.cost
        if one is None or cost is None:
            return
        region = _region(report.to)
        try:
            self._table.settle(one, region, cost, self._currency)
        except StoreUnavailable:
            _log.warning("a cost was not counted", extra={"app": one.app, "outcome": "unsettled"})
            return
        new = (cost.micros - (one.before or 0)) / MICROS
        if new > 0:
            self._count(one.app, region, cost.currency, new)
        if cost.currency != self._currency:
            reason = f"the carrier charges in {cost.currency}, and the prices are in {self._currency}"
            _log.warning("a cost counts for no limit", extra={"app": one.app, "reason": reason})


def _region(number: str) -> str:
    try:
        return phone.parse(number).region or NO_REGION
    except InvalidNumber:
        return NO_REGION
