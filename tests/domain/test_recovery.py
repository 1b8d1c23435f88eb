"""Recovery codes: how strong they are, how they may be typed, and which mistakes are told."""

import secrets
from itertools import combinations

import pytest

from otp_service.domain import recovery


def test_a_code_has_75_bits_in_groups_of_four() -> None:
    """Fifteen drawn characters of 32, and one that checks them."""
    limits: list[int] = []

    def draw(limit: int) -> int:
        limits.append(limit)
        return secrets.randbelow(limit)

    code = recovery.draw(draw)
    assert limits == [32] * 15
    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
    assert recovery.is_whole(recovery.typed(code) or "")


def test_every_single_mistake_and_every_swap_is_found() -> None:
    """One wrong character at any place, and any two that changed places."""
    code = recovery.typed(recovery.draw(secrets.randbelow)) or ""
    for at in range(recovery.LENGTH):
        for letter in recovery.ALPHABET:
            assert recovery.is_whole(code[:at] + letter + code[at + 1 :]) is (letter == code[at])
    for one, other in combinations(range(recovery.LENGTH), 2):
        swapped = list(code)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        assert recovery.is_whole("".join(swapped)) is (code[one] == code[other])


@pytest.mark.parametrize(
    "text", ["7G4K-W2QX-9DMB-T05C", "7g4kw2qx9dmbt05c", "7G4K W2QX 9DMB TO5C", " 7g4k-w2qx 9dmb-to5c "]
)
def test_case_blanks_and_hyphens_do_not_count(text: str) -> None:
    """O is read as zero: people write what they hear."""
    assert recovery.typed(text) == "7G4KW2QX9DMBT05C"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "123456",
        "7G4K-W2QX-9DMB-T05",
        "7G4K-W2QX-9DMB-T05CC",
        "7U4K-W2QX-9DMB-T05C",
        "７G4K-W2QX-9DMB-T05C",
        "7G4K_W2QX-9DMB-T05C",
    ],
)
def test_what_has_not_the_form_is_none(text: str) -> None:
    """Other lengths, letters that are not used, other signs, full-width digits."""
    assert recovery.typed(text) is None


def test_the_letters_that_look_like_one_are_one() -> None:
    """I and L stand in no code."""
    assert recovery.typed("IL1I-0000-0000-0000") == "1111000000000000"
