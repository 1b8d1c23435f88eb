"""Parts of a text: GSM-7, UCS-2, and the seams between parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.sandbox.texts import Segments, is_gsm7, measure

GSM_BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà"
GSM_EXTENDED = "|^{}[]~\\€\f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("GSM-7", 0, 1)),
        ("a" * 160, Segments("GSM-7", 160, 1)),
        ("a" * 161, Segments("GSM-7", 161, 2)),
        ("a" * 306, Segments("GSM-7", 306, 2)),
        ("a" * 307, Segments("GSM-7", 307, 3)),
        ("a" * 1530, Segments("GSM-7", 1530, 10)),
        ("€" * 80, Segments("GSM-7", 160, 1)),
        ("€" * 81, Segments("GSM-7", 162, 2)),
        ("a" * 152 + "€" + "a" * 152, Segments("GSM-7", 306, 3)),
        ("я" * 70, Segments("UCS-2", 70, 1)),
        ("я" * 71, Segments("UCS-2", 71, 2)),
        ("я" * 134, Segments("UCS-2", 134, 2)),
        ("я" * 135, Segments("UCS-2", 135, 3)),
        ("😀" * 35, Segments("UCS-2", 70, 1)),
        ("😀" * 36, Segments("UCS-2", 72, 2)),
        ("😀" * 67, Segments("UCS-2", 134, 3)),
        ("a" * 70 + "`", Segments("UCS-2", 71, 2)),
    ],
)
def test_boundaries(text: str, expected: Segments) -> None:
    """The limits 160/153 and 70/67 hold to the character, and nothing is split over a seam."""
    assert measure(text) == expected


def test_ucs2_can_be_forced() -> None:
    """A plain text sent as UCS-2 counts as UCS-2."""
    assert measure("a" * 71, force_ucs2=True) == Segments("UCS-2", 71, 2)


def _greedy_parts(widths: list[int], single: int, several: int) -> int:
    """The definition, written another way: cut the longest possible head, again and again."""
    if sum(widths) <= single:
        return 1
    parts = 0
    while widths:
        head = 0
        while head < len(widths) and sum(widths[: head + 1]) <= several:
            head += 1
        widths, parts = widths[head:], parts + 1
    return parts


@given(st.text(alphabet=GSM_BASIC + GSM_EXTENDED, max_size=500))
def test_gsm7_parts_follow_the_definition(text: str) -> None:
    """Every text of GSM-7 characters is GSM-7, its units and parts as defined."""
    widths = [2 if char in GSM_EXTENDED else 1 for char in text]
    assert is_gsm7(text)
    assert measure(text) == Segments("GSM-7", sum(widths), _greedy_parts(widths, 160, 153))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300), st.sampled_from("я😀`ç中"))
def test_one_foreign_character_makes_all_of_it_ucs2(text: str, foreign: str) -> None:
    """A text with one character outside GSM-7 is UCS-2, counted in UTF-16 units."""
    whole = text + foreign
    widths = [len(char.encode("utf-16-le")) // 2 for char in whole]
    assert measure(whole) == Segments("UCS-2", sum(widths), _greedy_parts(widths, 70, 67))


@given(st.text(max_size=200), st.text(max_size=20))
def test_longer_texts_never_take_fewer_parts(text: str, more: str) -> None:
    """Adding characters never saves a part."""
    assert measure(text + more).parts >= measure(text).parts
