"""Time, as the sandbox tells it: seconds since the epoch as a float, and its spelling in RFC 3339.

Everything that waits or dates asks a `Clock`, so tests can move ten days ahead without sleeping.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class SystemClock:
    """The wall clock as it stood at the start, carried forward monotonically.

    A jump of the machine's clock therefore neither fires nor stalls a delivery that is waiting.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._offset + time.monotonic()


def rfc3339(at: float, *, timespec: str = "milliseconds", zulu: bool = True) -> str:
    """`at` in UTC; with `Z` as the API answers it, or with `+00:00` as the webhooks spell it."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec=timespec)
    return text.replace("+00:00", "Z") if zulu else text


def parse_rfc3339(text: str) -> float | None:
    """The moment that `text` names (no zone means UTC), or None if it names none."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
