"""`[prices]`: what messages cost, and whether every app that may spend so much a day has prices for its countries."""

from typing import Any

from ..domain.policy import App, Policy
from ..domain.prices import Prices
from .apps import given_only
from .faults import Faults
from .sections import PricesSection
from .tables import read_section


def read_prices(raw: Any, faults: Faults) -> Prices:
    """The prices; of no use if there are faults."""
    section = read_section(raw, PricesSection, "prices", faults)
    named = {
        "currency": section.currency,
        "segments": section.segments,
        "whatsapp": section.whatsapp,
        "default": section.default,
    }
    return Prices(**given_only(named))


def require_prices(policy: Policy, prices: Prices, faults: Faults) -> None:
    """A limit on what an app spends needs to know what each message costs before it is sent."""
    for name, app in policy.apps.items():
        if app.spend_limit is not None and prices.default is None:
            _require_each(name, app, prices, faults)


def _require_each(name: str, app: App, prices: Prices, faults: Faults) -> None:
    key = f"apps.{name}.daily_spend_limit"
    missing = sorted(country for country in app.countries if country != "*" and not prices.knows(country))
    if "*" in app.countries:
        faults.add(key, "the app sends to all countries; write default = 0.1 in [prices], what a part of an SMS costs")
    elif missing:
        listed = ", ".join(f"{country} = 0.1" for country in missing[:5])
        faults.add(
            key,
            f"there is no price for {', '.join(missing)}; write segments = {{{listed}}} in [prices], what a part of an "
            "SMS costs, or default = 0.1 for all countries",
        )
