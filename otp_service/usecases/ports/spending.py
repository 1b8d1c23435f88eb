"""What messages of apps cost."""

from collections.abc import Mapping
from typing import Protocol

from ...domain.prices import Cost, Settlement
from ...domain.spending import SpendState


class SpendTable(Protocol):
    """What was spent. Each method is a single atomic step."""

    def settle(self, one: Settlement, region: str, cost: Cost, currency: str) -> None:
        """Count a cost, and correct what was expected. `currency`: that of the prices."""
        ...

    def read(self, app: str) -> SpendState:
        """All that is kept of an app's messages."""
        ...

    def record_reached(self, app: str, day: int, percent: int, detail: Mapping[str, str]) -> bool:
        """Record that an app has spent so much of its limit; False if that is on record for this day."""
        ...
