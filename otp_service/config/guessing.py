"""`[apps.NAME.guessing]`: when the app's codes are made harder to guess."""

from typing import Any

from ..domain.guessing import GuessingRule
from .faults import Faults
from .sections import GuessingSection
from .tables import read_section


def read_rule(app: str, raw: Any, faults: Faults) -> GuessingRule | None:
    """The rule of an app; None for the default one."""
    if raw is None:
        return None
    section = read_section(raw, GuessingSection, f"apps.{app}.guessing", faults)
    given: dict[str, Any] = {
        "mode": section.mode,
        "wrong_codes": section.wrong_codes,
        "per_approval": section.per_approval,
        "longer_codes": section.longer_codes,
    }
    return GuessingRule(**{name: value for name, value in given.items() if value is not None})
