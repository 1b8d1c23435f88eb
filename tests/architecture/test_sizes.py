"""How large modules are: small enough to be read in one go."""

import statistics
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 400
MEDIAN_LINES = 120
LONG = {"tests/fakes.py"}
"""One file for all fakes is wanted: a reader finds every fake in it, beside the one that looks like it."""


def sizes(folder: str) -> Mapping[str, int]:
    """Every module of a folder that is not empty, with its number of lines."""
    counts = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    return {name: count for name, count in counts.items() if count}


def test_no_module_has_more_than_400_lines() -> None:
    """What is longer has more than one subject."""
    counts = {**sizes("otp_service"), **sizes("tests"), **sizes("deploy")}
    assert {name: count for name, count in counts.items() if count > MOST_LINES and name not in LONG} == {}


def test_half_of_the_modules_have_120_lines_at_most() -> None:
    """The median: a single long module changes nothing, a habit does. Of the service alone, and with its tests."""
    service, tests = sizes("otp_service"), sizes("tests")
    assert statistics.median(service.values()) <= MEDIAN_LINES
    assert statistics.median([*service.values(), *tests.values()]) <= MEDIAN_LINES


def test_an_exception_is_still_needed() -> None:
    """A module that has become short leaves the list."""
    assert all(sizes("tests")[name] > MOST_LINES for name in LONG)
