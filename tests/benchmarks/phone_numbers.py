"""Telephone numbers for loads: valid ones of the USA, each used once."""

import itertools
from collections.abc import Iterator

AREAS = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218)
FIRST_EXCHANGE, EXCHANGES, LINES = 220, 80, 10_000
"""Exchanges 220 to 299: none ends in 11, and none is the 555 of fictitious numbers."""


def number(index: int) -> str:
    """The number with this index, below 12.8 million. Raises IndexError."""
    area, rest = divmod(index, EXCHANGES * LINES)
    exchange, line = divmod(rest, LINES)
    return f"+1{AREAS[area]}{FIRST_EXCHANGE + exchange}{line:04d}"


def numbers() -> Iterator[str]:
    """All of them in order."""
    return map(number, itertools.count())
