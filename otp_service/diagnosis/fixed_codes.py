"""Which apps have test numbers: whoever knows the code logs in by them, so they are shown, though they are no fault."""

from collections.abc import Iterator

from ..config import Settings
from ..domain.numbering import SAMPLE_NUMBER
from ..domain.phone import parse
from .result import CheckResult


def check_test_numbers(settings: Settings) -> Iterator[CheckResult]:
    """One line for each app that has any."""
    for name, app in settings.policy.apps.items():
        if app.test_codes:
            shown = ", ".join(_shown(number) for number in app.test_codes)
            detail = f"{shown}: a fixed code opens them, and nothing is sent; remove them when nobody tests any more"
            yield CheckResult(f"test numbers of {name}", True, detail)


def _shown(number: str) -> str:
    return parse(number).mask + ("" if SAMPLE_NUMBER.fullmatch(number) else " (real)")
