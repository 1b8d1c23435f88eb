"""`[apps.NAME.guard]`: how many codes that nobody uses an app sends. Its defaults are in `domain.guard.policy`."""

from typing import Any

from ..domain.guard.policy import GuardPolicy
from ..domain.phone import REGIONS
from .duration import plain_ms
from .faults import Faults
from .sections import GuardSection
from .tables import read_section


def read_guard(app: str, raw: Any, faults: Faults) -> GuardPolicy | None:
    """The guard of an app. None for the usual one; of no use if there are faults."""
    if raw is None:
        return None
    key = f"apps.{app}.guard"
    section = read_section(raw, GuardSection, key, faults)
    for country in section.countries or {}:
        if country not in REGIONS:
            faults.add(f"{key}.countries.{country}", "this is no country by ISO 3166 that has numbers")
    named = {
        "mode": section.mode,
        "countries": section.countries,
        "block_10k_a_day": section.block_10k_a_day,
        "block_1k_in_6h": section.block_1k_in_6h,
        "address_an_hour": section.address_an_hour,
        "address_countries": section.address_countries,
        "country_a_day": section.country_a_day,
        "country_an_hour": section.country_an_hour,
        "total_a_day": section.total_a_day,
        "known_for_ms": section.known_for,
        "monitor_ms": section.monitor,
        "novelty_refuses": section.novelty_refuses,
    }
    return GuardPolicy(**{name: plain_ms(value) for name, value in named.items() if value is not None})
