"""How a text is encoded as SMS and into how many parts (3GPP TS 23.038, 23.040).

GSM-7: 160 septets in one part, 153 in each of several; a character of the extension table takes two. One character
outside GSM-7 turns the whole text into UCS-2: 70 UTF-16 code units in one part, 67 in each of several. Neither an
extension character nor a surrogate pair is divided between two parts.
"""

import re
from enum import StrEnum
from typing import NamedTuple

MAX_PARTS = 10
"""What the carrier takes in one message; it refuses a longer text (its error 40302)."""

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"
_GSM7 = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")
_TWO_SEPTETS = frozenset(_EXTENSION)


class Encoding(StrEnum):
    """The alphabet of a text, by the carrier's names."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class Segments(NamedTuple):
    """The size of a text on its way: the encoding and the number of parts that are sent and billed."""

    encoding: Encoding
    parts: int


_ONE = Segments(Encoding.GSM7, 1)


def segments(text: str) -> Segments:
    """The encoding and the number of parts of a text. An empty text is one part. Raises nothing."""
    if _GSM7.fullmatch(text):
        if len(text) <= 160 and _TWO_SEPTETS.isdisjoint(text):
            return _ONE
        return Segments(Encoding.GSM7, _parts([2 if char in _TWO_SEPTETS else 1 for char in text], 160, 153))
    return Segments(Encoding.UCS2, _parts([2 if char > "\uffff" else 1 for char in text], 70, 67))


def outside_gsm7(text: str) -> str:
    """The characters that turn a text into UCS-2, each once, in order."""
    return "".join(dict.fromkeys(char for char in text if not _GSM7.fullmatch(char)))


def _parts(widths: list[int], alone: int, each: int) -> int:
    if sum(widths) <= alone:
        return 1
    parts, used = 1, 0
    for width in widths:
        used += width
        if used > each:
            parts, used = parts + 1, width
    return parts
