"""The identity and the states of a verification.

```
pending ──right code──────────────▶ approved
   │  ├──its last wrong code──────▶ exhausted
   │  ├──time──────────────────────▶ expired
   │  ├──the caller withdraws it──▶ canceled
   │  └──"that wasn't me"─────────▶ denied
```
Every other state is final. The moves are made by the Lua scripts in `storage/lua`, one script a move; the rules that
they follow are replayed against this module's words by the model in `tests/storage/test_state_machine.py`.

An id is unguessable and carries, blinded, the keyed hash of its number. So one look at an id tells the service on
which shard the verification lives and which budget it draws on, without a look-up; to everybody else two ids of
one person have nothing in common.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

from .numbering import identity

NUMBER_HASH_BYTES = 10
WATCH_TOKEN_BYTES = 16
_ID = re.compile(r"vrf_([a-z2-7]{32})", re.ASCII)
_DELIVERY_ID = re.compile(r"dlv_([a-z2-7]{32})-([1-9][0-9]{0,2})", re.ASCII)


class Status(StrEnum):
    """The states of a verification."""

    PENDING = "pending"
    APPROVED = "approved"
    EXPIRED = "expired"
    CANCELED = "canceled"
    EXHAUSTED = "exhausted"
    DENIED = "denied"


ENDED_CODE = {
    Status.APPROVED: "already_approved",
    Status.EXPIRED: "verification_expired",
    Status.CANCELED: "verification_canceled",
    Status.EXHAUSTED: "attempts_exhausted",
    Status.DENIED: "verification_denied",
}
"""The problem code that explains how a verification ended."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A verification as named by its id: the id's body and the number's keyed hash (hex) it carries."""

    body: str
    number_hash: str

    @property
    def verification_id(self) -> str:
        """The public id."""
        return f"vrf_{self.body}"

    def delivery_id(self, ordinal: int) -> str:
        """The public id of the verification's n-th delivery, counted from 1."""
        return f"dlv_{self.body}-{ordinal}"


def number_hash(key: bytes, e164: str) -> str:
    """Keyed hash of a number, 80 bits in hex: what keys, audit events and receipts hold instead of the number.

    Spellings that reach one handset have one hash: reports and replies may come in another one than was sent to.
    """
    return hmac.digest(key, b"number\0" + identity(e164).encode(), "sha256")[:NUMBER_HASH_BYTES].hex()


def fingerprint(key: bytes) -> str:
    """Names a secret key, 64 bits in hex, and tells nothing about it."""
    return hmac.digest(key, b"fingerprint", "sha256")[:8].hex()


def new_reference(key: bytes, number: str, chance: bytes) -> Reference:
    """Make an id for the number with this hash (hex) out of ten random bytes."""
    if len(chance) != NUMBER_HASH_BYTES:
        raise ValueError(f"an id needs {NUMBER_HASH_BYTES} random bytes")
    raw = chance + _blind(key, chance, bytes.fromhex(number))
    return Reference(base64.b32encode(raw).decode().lower(), number)


def read_id(key: bytes, text: str) -> Reference | None:
    """Read a verification id; None if it cannot be one of ours."""
    match = _ID.fullmatch(text)
    return _read_body(key, match[1]) if match else None


def read_delivery_id(key: bytes, text: str) -> tuple[Reference, int] | None:
    """Read a delivery id into its verification and ordinal; None if it cannot be one of ours."""
    match = _DELIVERY_ID.fullmatch(text)
    return (_read_body(key, match[1]), int(match[2])) if match else None


def _read_body(key: bytes, body: str) -> Reference:
    raw = base64.b32decode(body.upper())
    chance, blinded = raw[:NUMBER_HASH_BYTES], raw[NUMBER_HASH_BYTES:]
    return Reference(body, _blind(key, chance, blinded).hex())


def _blind(key: bytes, chance: bytes, value: bytes) -> bytes:
    pad = hmac.digest(key, b"id\0" + chance, "sha256")
    return bytes(a ^ b for a, b in zip(value, pad, strict=False))


def watch_token(key: bytes, verification_id: str) -> str:
    """What lets its holder look at this verification and do nothing else: 128 bits that only the key's holder can make.

    The id is bound, and with it the app: an id belongs to one app only, and a token is proven before anything is read.
    """
    proof = hmac.digest(key, b"watch\0" + verification_id.encode(), "sha256")[:WATCH_TOKEN_BYTES]
    return f"wt_{base64.b32encode(proof).decode().rstrip('=').lower()}"


def is_watch_token(key: bytes, verification_id: str, text: str) -> bool:
    """Whether the text is this verification's watch token, in a time that does not depend on where it differs."""
    return hmac.compare_digest(text.encode(errors="replace"), watch_token(key, verification_id).encode())


def shard_of(number: str, shards: int) -> int:
    """The shard of a number's keyed hash (hex), 0 .. shards-1."""
    return int(number[:8], 16) % shards
