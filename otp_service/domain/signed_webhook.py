"""A webhook of the carrier as evidence: the bytes that the carrier signed, its signature, and what a record says of it.

A record holds the commitment: SHA-256 of a random salt and of the signed bytes, which are `timestamp|body`. Once the
salt is gone, nobody can tell what it was made of.
"""

import hashlib
import zlib
from dataclasses import dataclass, field

SALT_BYTES, KEY_BYTES, SIGNATURE_BYTES = 32, 32, 64
SIGNED_MAX = 65_536 + 32
"""Bytes: the longest body that the API takes, and a timestamp."""

_HEAD = SALT_BYTES + KEY_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class SignedWebhook:
    """`signed`: the timestamp as it arrived, a bar and the raw body. `key`: the carrier's key (Ed25519, 32 bytes) that
    made the signature (64 bytes). `salt`: 32 random bytes. Its repr shows no number."""

    salt: bytes = field(repr=False)
    key: bytes
    signature: bytes
    signed: bytes = field(repr=False)

    @property
    def commitment(self) -> str:
        """`sha256:` and 64 digits: what stands in the record."""
        return f"sha256:{hashlib.sha256(self.salt + self.signed).hexdigest()}"

    def packed(self) -> bytes:
        """All of it in few bytes."""
        return self.salt + self.key + self.signature + zlib.compress(self.signed, 9)

    @classmethod
    def unpack(cls, raw: bytes) -> "SignedWebhook":
        """Undo `packed`. Raises ValueError."""
        unpacker = zlib.decompressobj()
        try:
            signed = unpacker.decompress(raw[_HEAD:], SIGNED_MAX)
        except zlib.error as error:
            raise ValueError("no packed webhook") from error
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("no packed webhook")
        salt, rest = raw[:SALT_BYTES], raw[SALT_BYTES:_HEAD]
        return cls(salt, rest[:KEY_BYTES], rest[KEY_BYTES:], signed)
