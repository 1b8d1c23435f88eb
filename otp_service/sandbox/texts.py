"""The size of a text: its encoding, GSM-7 or UCS-2, and its number of parts (segments), which are billed each.

GSM-7: one part has 160 septets; several parts have 153 each. A character of the extension table takes two septets,
which are never split over two parts. One character outside GSM-7 makes the whole text UCS-2 (UTF-16 code units):
one part has 70 units; several parts have 67 each. A surrogate pair is never split. At most ten parts are sent.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_PARTS = 10

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Segments:
    """The size of a text: `encoding` as in the API, `units` in septets or UTF-16 code units."""

    encoding: str
    units: int
    parts: int


def is_gsm7(text: str) -> bool:
    """Whether every character exists in GSM-7."""
    return all(char in _BASIC or char in _EXTENSION for char in text)


def measure(text: str, *, force_ucs2: bool = False) -> Segments:
    """The size of `text`; an empty text is one part."""
    if not force_ucs2 and is_gsm7(text):
        widths = [2 if char in _EXTENSION else 1 for char in text]
        return Segments("GSM-7", sum(widths), _parts(widths, single=160, several=153))
    widths = [2 if ord(char) > 0xFFFF else 1 for char in text]
    return Segments("UCS-2", sum(widths), _parts(widths, single=70, several=67))


def _parts(widths: list[int], *, single: int, several: int) -> int:
    if sum(widths) <= single:
        return 1
    parts, free = 1, several
    for width in widths:
        if width > free:
            parts, free = parts + 1, several
        free -= width
    return parts
