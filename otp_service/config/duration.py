"""Durations of the configuration and of commands: `"30s"`, `"5m"`, `"24h"`, `"90d"`, or whole seconds."""

import re
from typing import Any, Self

from ..domain.errors import ConfigError

_TEXT = re.compile(r"([0-9]{1,7})(s|m|h|d)", re.ASCII)
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MAX_SECONDS = 10**9


class Duration(int):
    """Milliseconds, read from a text with a unit or from whole seconds."""

    @classmethod
    def read(cls, value: object) -> Self:
        """Raises ValueError with what to write instead."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SECONDS:
            return cls(value * 1000)
        match = _TEXT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f'{value!r} is not a duration such as "30s", "5m", "24h" or "90d"')
        return cls(int(match[1]) * _UNIT_MS[match[2]])


def duration_ms(value: object, where: str) -> int:
    """The milliseconds of one duration. Raises ConfigError naming the key or option."""
    try:
        return int(Duration.read(value))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def plain_ms(value: Any) -> Any:
    """Durations, alone or in a tuple, as plain integers, which is all that hiredis sends; other values as they are."""
    if isinstance(value, tuple):
        return tuple(plain_ms(part) for part in value)
    return int(value) if isinstance(value, Duration) else value


def dec_hook(kind: type[Any], value: object) -> Any:
    """How msgspec reads a Duration, or another type of ours that reads itself."""
    if hasattr(kind, "read"):
        return kind.read(value)
    raise NotImplementedError(kind)
