"""How long and how binary values are kept: in pieces, because a hash with one long value takes twice the memory.

Sealed values are texts everywhere else (`kid:base64`). In the store they are `kid:` and the bytes, which are shorter.
Bytes that are no text come from the store as redis-py's surrogates, see `connect`.
"""

import base64
import binascii
from collections.abc import Mapping

from .schema.encodings import RAW, PieceName


def joined(fields: Mapping[str, str], name: str) -> bytes | None:
    """The value that stands in the fields `name`, `name:2`, `name:3` …; None if it is not there."""
    first = fields.get(name)
    if first is None:
        return None
    parts, number = [first], 2
    while (part := fields.get(PieceName.pack(name, number))) is not None:
        parts.append(part)
        number += 1
    return b"".join(as_bytes(part) for part in parts)


def as_bytes(reply: str) -> bytes:
    """The bytes that the store holds."""
    return reply.encode("utf-8", "surrogateescape")


def pack_sealed(sealed: str) -> bytes:
    """A sealed value as it is stored. What has another form is stored as it is."""
    kid, colon, text = sealed.partition(":")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return sealed.encode()
    if not colon or base64.b64encode(raw).decode() != text:
        return sealed.encode()
    return RAW + kid.encode() + b":" + raw


def unpack_sealed(stored: bytes) -> str:
    """Undo `pack_sealed`."""
    if not stored.startswith(RAW):
        return stored.decode("utf-8", "surrogateescape")
    kid, _, raw = stored.removeprefix(RAW).partition(b":")
    return f"{kid.decode('utf-8', 'surrogateescape')}:{base64.b64encode(raw).decode()}"
