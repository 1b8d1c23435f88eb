"""How exact a wait is that a test finds: what the machine took since the test began may have passed of it."""

import time
from typing import Any

import pytest

SLACK_MS = 500


class Began:
    """When the present test began, in monotonic seconds."""

    at = time.monotonic()


def about(ms: float) -> Any:
    """What equals so many milliseconds, but for what has passed of this test, and a little."""
    return pytest.approx(ms, abs=SLACK_MS + (time.monotonic() - Began.at) * 1000)
