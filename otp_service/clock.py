"""The clock of this machine, and how a moment is written. Codes expire by the store's clock, never by this one.

A moment is Unix milliseconds everywhere inside; RFC 3339 in UTC where people and other programs read it.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_ms() -> int:
    """Unix milliseconds of this machine's clock."""
    return time.time_ns() // 1_000_000


# One response names the same moment several times.
@lru_cache(maxsize=128)
def rfc3339(ms: int, timespec: str = "milliseconds") -> str:
    """A moment (Unix milliseconds) as RFC 3339 in UTC: `2026-01-31T12:00:00.000Z`.

    `timespec` as in `datetime.isoformat`. Raises OverflowError beyond the year 9999.
    """
    if timespec == "milliseconds":
        return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"
    return utc(ms).isoformat(timespec=timespec).replace("+00:00", "Z")


# Every line of the log and every response names a moment of the same few seconds.
@lru_cache(maxsize=128)
def _second(seconds: int) -> str:
    return utc(seconds * 1000).isoformat(timespec="seconds").removesuffix("+00:00")


def utc(ms: int) -> datetime:
    """A moment (Unix milliseconds) as a datetime in UTC."""
    # A float of seconds would lose the last digit far from now.
    return _EPOCH + timedelta(milliseconds=ms)
