"""Recovery codes: ten for a subject, each good once. People write them down and read them aloud.

Sixteen characters of an alphabet without I, L, O and U, in groups of four: `7G4K-W2QX-9DMB-T05C`. Fifteen of them are
drawn (75 bits), the last one checks the others: it finds every single wrong character and every two that were swapped,
because the sum over GF(32) has another weight for each place.
"""

import re
from collections.abc import Callable

COUNT = 10
LOW = 3
"""So many left are worth telling the person."""

LENGTH, GROUP = 16, 4
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_SHAPE = re.compile(r"[0-9A-Za-z]{16}", re.ASCII)
_REDUCED_BY = 0b100101
"""x^5 + x^2 + 1, which is primitive: the weights of 31 places are all different."""


def draw(randbelow: Callable[[int], int]) -> str:
    """A new code, all equally likely (`randbelow` as in `secrets`), in its groups."""
    values = [randbelow(len(ALPHABET)) for _ in range(LENGTH - 1)]
    values.append(_doubled(_sum(values)))
    text = "".join(ALPHABET[value] for value in values)
    return "-".join(text[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def typed(text: str) -> str | None:
    """A code as a person typed it, in its one spelling; None if the text has not the form of one.

    Blanks and hyphens do not count, nor does the case. O is 0; I and L are 1. The last character is not looked at.
    """
    bare = re.sub(r"[ -]", "", text)
    if not _SHAPE.fullmatch(bare):
        return None
    values = [_VALUE.get(letter) for letter in bare.upper()]
    return None if None in values else "".join(ALPHABET[value] for value in values if value is not None)


def is_whole(code: str) -> bool:
    """Whether the last character fits the others: a code in its one spelling that was typed without a mistake."""
    return _sum([_VALUE[letter] for letter in code]) == 0


def _sum(values: list[int]) -> int:
    total = 0
    for value in values:
        total = _doubled(total) ^ value
    return total


def _doubled(value: int) -> int:
    value <<= 1
    return value ^ _REDUCED_BY if value & 32 else value
