"""How many parts a text takes: the limits of the standard, and the sandbox's own reckoning as a second opinion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.sms_segments import Encoding, segments
from otp_service.sandbox import texts


@pytest.mark.parametrize(
    ("text", "encoding", "parts"),
    [
        ("", Encoding.GSM7, 1),
        ("a" * 160, Encoding.GSM7, 1),
        ("a" * 161, Encoding.GSM7, 2),
        ("a" * 306, Encoding.GSM7, 2),
        ("a" * 307, Encoding.GSM7, 3),
        ("a" * 1530, Encoding.GSM7, 10),
        ("a" * 1531, Encoding.GSM7, 11),
        ("€" * 80, Encoding.GSM7, 1),
        ("€" * 81, Encoding.GSM7, 2),
        # An extension character is not divided: 76 of them fill a part but for one septet.
        ("€" * 152, Encoding.GSM7, 2),
        ("€" * 153, Encoding.GSM7, 3),
        ("Ł" * 70, Encoding.UCS2, 1),
        ("Ł" * 71, Encoding.UCS2, 2),
        ("Ł" * 670, Encoding.UCS2, 10),
        ("Ł" * 671, Encoding.UCS2, 11),
        ("\U0001f355" * 35, Encoding.UCS2, 1),
        ("\U0001f355" * 36, Encoding.UCS2, 2),
        # 33 pairs are 66 units; the 67th has no room for half of the next.
        ("\U0001f355" * 66, Encoding.UCS2, 2),
        ("\U0001f355" * 67, Encoding.UCS2, 3),
        ("e\u0301", Encoding.UCS2, 1),
        ("á", Encoding.UCS2, 1),
        ("è{}", Encoding.GSM7, 1),
    ],
)
def test_the_limits_are_the_standards(text: str, encoding: Encoding, parts: int) -> None:
    """160 and 153 septets, 70 and 67 code units; what takes two places is not divided."""
    assert segments(text) == (encoding, parts)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("€[]|aaaaé\U0001f355"), max_size=1600))
def test_the_sandbox_reckons_alike(text: str) -> None:
    """Two reckonings that share no line agree on every text."""
    theirs = texts.measure(text)
    assert segments(text) == (theirs.encoding, theirs.parts)
