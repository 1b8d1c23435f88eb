"""What messages cost and may cost: counting costs, watching limits, and the table for people."""

from collections.abc import Iterator
from contextlib import contextmanager

from .. import telemetry
from ..config import Settings
from ..storage.spend import SpendTable
from ..usecases.settle_costs import SettleCosts
from ..usecases.spend_watch import SpendWatch
from .senders import alert
from .stores import Stores, open_stores


def _table(stores: Stores) -> SpendTable:
    return SpendTable(stores.store, stores.scripts, stores.keys)


def settle_costs(settings: Settings, stores: Stores) -> SettleCosts:
    """Counts what the carrier's reports say that messages cost."""
    return SettleCosts(table=_table(stores), currency=settings.prices.currency, count=_count)


def spend_watch(settings: Settings, stores: Stores) -> SpendWatch:
    """Watches what apps have spent today."""
    return SpendWatch(
        apps=settings.policy.apps,
        table=_table(stores),
        currency=settings.prices.currency,
        alert=alert(settings, stores).app_spend,
        show=_show,
    )


@contextmanager
def open_spending(settings: Settings) -> Iterator[SpendTable]:
    """The table for one command. Raises ConfigError and NotReady."""
    settings.require_apps()
    stores = open_stores(settings)
    try:
        yield _table(stores)
    finally:
        stores.store.close()


def _count(app: str, country: str, currency: str, amount: float) -> None:
    telemetry.child(telemetry.COST, app, country, currency).inc(amount)


def _show(app: str, spent: float, limit: float | None) -> None:
    telemetry.child(telemetry.SPEND_TODAY, app).set(spent)
    if limit is not None:
        telemetry.child(telemetry.SPEND_LIMIT, app).set(limit)
