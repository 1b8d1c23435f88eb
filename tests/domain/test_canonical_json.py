"""Canonical JSON: the samples of RFC 8785, and what JSON cannot hold exactly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.canonical_json import EXACT, canonical

NUMBERS = {
    0.0: "0",
    1.0: "1",
    -1.5: "-1.5",
    4.5: "4.5",
    0.002: "0.002",
    333333333.33333329: "333333333.3333333",
    1e30: "1e+30",
    1e-27: "1e-27",
    1e21: "1e+21",
    1e20: "100000000000000000000",
    9.5e-7: "9.5e-7",
    1e-6: "0.000001",
    123456789012345680000.0: "123456789012345680000",
    5e-324: "5e-324",
    1.7976931348623157e308: "1.7976931348623157e+308",
    12.5e3: "12500",
}
"""A number and how ECMAScript writes it; the larger ones are those of appendix B."""


@pytest.mark.parametrize(("number", "written"), NUMBERS.items())
def test_numbers_are_written_as_ecmascript_does(number: float, written: str) -> None:
    """With the shortest digits, and an exponent from 21 digits on."""
    assert canonical(number) == written.encode()


def test_a_zero_has_no_sign() -> None:
    """In ECMAScript both are written alike."""
    assert canonical([0.0, -0.0]) == b"[0,0]"


def test_the_sample_of_the_rfc() -> None:
    """Section 3.2.2 and 3.2.4: numbers, escapes, literals, members in their order."""
    sample = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    written = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(sample) == written.encode()


def test_members_are_sorted_by_their_utf_16() -> None:
    """Section 3.2.3: a character beyond 16 bits comes before others of the same plane."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    found = json.loads(canonical(dict.fromkeys(names, 0)), object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    assert found == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize("value", [EXACT, float("nan"), float("inf"), {"a": object()}, "\ud800", b"bytes"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    """Rather than written so that readers disagree."""
    with pytest.raises(ValueError):  # noqa: PT011 - of several causes
        canonical(value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SINGLE = st.none() | st.booleans() | st.integers(1 - EXACT, EXACT - 1) | TEXTS
VALUES = st.recursive(
    SINGLE | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_means_the_same(value: Any) -> None:
    """And is written the same again."""
    assert json.loads(canonical(value), parse_int=float) == value
    assert canonical(json.loads(canonical(value), parse_int=float)) == canonical(value)
