"""What promises need of a recorded configuration."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..domain.policy import Limit

_LIMITS = tuple[Limit, ...]


class Rules:
    """One configuration. What it does not say is None, or no limit: a record of another form is judged by less."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._senders = content.get("senders", {})
        self._apps = content.get("apps", {})
        self.wrong_codes_everywhere = _limits(content.get("per_number", {}).get("wrong_codes"))
        self._wrong_codes = {name: _limits(app.get("wrong_codes_per_number")) for name, app in self._apps.items()}

    def profile(self, sender: str) -> str | None:
        """The messaging profile of a sender."""
        found = self._senders.get(sender, {}).get("messaging_profile_id")
        return None if found is None else str(found)

    def max_checks(self, app: str | None) -> int | None:
        """How many guesses a verification of the app has."""
        found = self._apps.get(app, {}).get("max_checks")
        return found if isinstance(found, int) else None

    def wrong_codes(self, app: str | None) -> tuple[Limit, ...]:
        """The budgets of wrong codes of a number in the app."""
        return self._wrong_codes.get(app or "", ())


def _limits(value: Any) -> tuple[Limit, ...]:
    return () if value is None else msgspec.convert(value, _LIMITS)
