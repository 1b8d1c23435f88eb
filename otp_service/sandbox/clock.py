"""The sandbox's clock: seconds since the epoch as a float, and its format in RFC 3339.

All waits and times use a `Clock`, so that a test can move ten days ahead without sleeping.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the present time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class SystemClock:
    """The wall clock at the start plus the monotonic time since then.

    If the machine's clock is set, waiting deliveries are therefore neither early nor late.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._offset + time.monotonic()


def rfc3339(at: float, *, timespec: str = "milliseconds", zulu: bool = True) -> str:
    """`at` in UTC; with `Z` as in responses, or with `+00:00` as in webhooks."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec=timespec)
    return text.replace("+00:00", "Z") if zulu else text


def parse_rfc3339(text: str) -> float | None:
    """`text` as seconds since the epoch (no zone means UTC), or None if it is not a time."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
