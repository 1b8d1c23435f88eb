"""The sealed box of a verification: what its messages need and only a delivery worker may read.

It stands in the store once for each pending verification, so it holds values without names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ..domain.errors import SealBroken
from ..domain.ids import Reference


@dataclass(frozen=True, slots=True)
class Box:
    """The number (E.164), the code and what it is bound to (`amount`, `payee`, `session`)."""

    to: str = field(repr=False)
    code: str = field(repr=False)
    context: Mapping[str, str] = field(default_factory=dict, repr=False)
    notice: str = ""
    """What a notice is about, in place of a code."""


def pack(ref: Reference, box: Box) -> bytes:
    """The bytes to seal. They name the verification, so that a box cannot be taken for another one's."""
    more = (box.context, box.notice) if box.notice else (box.context,) if box.context else ()
    return msgspec.json.encode((ref.token, box.to, box.code, *more))


def unpack(ref: Reference, plain: bytes) -> Box:
    """Undo `pack`. Raises SealBroken for the box of another verification."""
    token, *values = msgspec.json.decode(plain)
    if token != ref.token:
        raise SealBroken("the sealed box belongs to another verification")
    return Box(*values)
