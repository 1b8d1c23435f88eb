"""The clock of this machine, and times as text: RFC 3339 in UTC. A leaf: imports nothing of the service."""

import time
from datetime import UTC, datetime


def rfc3339(ms: int, digits: str = "milliseconds") -> str:
    """Unix milliseconds as `2026-01-02T03:04:05.678Z`; `digits` as in `datetime.isoformat`, e.g. "seconds"."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec=digits).replace("+00:00", "Z")


def now_ms() -> int:
    """Unix milliseconds of this machine's clock. Expiry of codes is never judged by it."""
    return time.time_ns() // 1_000_000
