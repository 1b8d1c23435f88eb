"""Moments: Unix milliseconds inside, RFC 3339 in UTC outside."""

import time
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from otp_service.clock import clock_ms, rfc3339, utc


@given(st.integers(0, 253_402_300_799_999))
def test_what_is_written_can_be_read_again_to_the_millisecond(ms: int) -> None:
    """Every moment up to the year 9999, always in UTC with a Z."""
    text = rfc3339(ms)
    assert text.endswith("Z")
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == ms
    assert round(utc(ms).timestamp() * 1000) == ms


def test_a_moment_may_be_written_in_whole_seconds() -> None:
    """`timespec` cuts off what is smaller."""
    assert rfc3339(1_769_860_800_999, "seconds") == "2026-01-31T12:00:00Z"


def test_the_clock_is_this_machines() -> None:
    """Whole Unix milliseconds."""
    before = int(time.time() * 1000)
    now = clock_ms()
    assert before <= now <= time.time() * 1000
