"""Tests of sums of a day: they must end on the day on which they begin."""

import time

from otp_service.domain.spending import DAY_MS

from .conftest import ApiHarness

LONGEST_MS = 60_000
"""No test here takes longer."""


def wait_ms(now_ms: int) -> int:
    """Until a test may begin that must end on the day on which it begins."""
    left = DAY_MS - now_ms % DAY_MS
    return left if left < LONGEST_MS else 0


def stay_within_a_day(api: ApiHarness) -> None:
    """Just before midnight by the store's clock a test goes on after it."""
    seconds, micros = api.store.time()
    time.sleep(wait_ms(seconds * 1_000 + micros // 1_000) / 1_000)
