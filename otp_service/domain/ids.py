"""Public ids: how they are made and read, and the keyed hash of a phone number that each of them carries.

A verification id is `vrf_` and a token of 32 characters (base32, lower case), a delivery id is `dlv_`, the same token
and an ordinal: `dlv_<token>-1`. The token is unguessable and holds, blinded, the keyed hash of its number. So one look
at an id names the shard and the budgets of its number without a look-up. To everybody without the key, two ids of one
person have nothing in common.
"""

import hmac
import re

import msgspec

from . import base32
from .codes import length_prefixed
from .keyed_hash import KeyedHash
from .numbering import identity

NUMBER_HASH_BYTES = 10
VERIFICATION_PREFIX, DELIVERY_PREFIX = "vrf_", "dlv_"
_VERIFICATION_ID = re.compile(VERIFICATION_PREFIX + r"([a-z2-7]{32})", re.ASCII)
_DELIVERY_ID = re.compile(DELIVERY_PREFIX + r"([a-z2-7]{32})-([1-9][0-9]{0,2})", re.ASCII)

_HASHES = 1 << 8 * NUMBER_HASH_BYTES
"""How many hashes of numbers there are."""

_BASE32_DIGITS = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz234567", b"0123456789abcdefghijklmnopqrstuv")
"""From the digits of RFC 4648, in lower case, to those of `int`."""


class Reference(msgspec.Struct, frozen=True):
    """A verification as its id names it: the id's token, and the number's keyed hash (hex) that the token carries."""

    token: str
    number_hash: str

    @property
    def verification_id(self) -> str:
        """The public id."""
        return VERIFICATION_PREFIX + self.token

    def delivery_id(self, ordinal: int) -> str:
        """The public id of the verification's n-th delivery, counted from 1."""
        return f"{DELIVERY_PREFIX}{self.token}-{ordinal}"


class Ids:
    """Makes and reads ids, and hashes numbers, with one secret index key (32 bytes). Its repr does not show the key."""

    def __init__(self, index_key: bytes) -> None:
        self._hash = KeyedHash(index_key)
        self._fingerprint = fingerprint(index_key)

    def __repr__(self) -> str:
        return f"Ids({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Names the index key, see `fingerprint`."""
        return self._fingerprint

    def number_hash(self, e164: str) -> str:
        """Keyed hash of a number, 80 bits in hex: what keys, audit events and receipts hold instead of the number.

        Spellings that reach one phone have one hash: reports and replies may use another one than was sent to.
        """
        return self._hash.digest(b"number\0" + identity(e164).encode())[:NUMBER_HASH_BYTES].hex()

    def subject(self, app: str, number_hash: str) -> str:
        """The `sub` claim of receipts, 128 bits in hex: two apps that compare theirs learn nothing about a person."""
        return self._hash.digest(f"sub\0{app}\0{number_hash}".encode())[:16].hex()

    def subject_hash(self, app: str, subject: str) -> str:
        """Keyed hash of an app's own id of a person, 80 bits in hex: it stands where a number's hash stands else."""
        return self.digest(b"subject\0" + length_prefixed(app, subject))[:NUMBER_HASH_BYTES].hex()

    def recovery_code(self, subject_hash: str, code: str) -> str:
        """Keyed hash of a recovery code, 128 bits in hex. `code` in its one spelling."""
        return self.digest(b"recovery\0" + length_prefixed(subject_hash, code))[:16].hex()

    def new(self, number_hash: str, random: bytes) -> Reference:
        """Make an id for the number with this hash. `random`: ten random bytes; ValueError for another length."""
        if len(random) != NUMBER_HASH_BYTES:
            raise ValueError(f"an id needs {NUMBER_HASH_BYTES} random bytes")
        blinded = int(number_hash, 16) ^ self._pad(random)
        raw = random + blinded.to_bytes(NUMBER_HASH_BYTES, "big")
        return Reference(base32.encoded(raw), number_hash)

    def read(self, verification_id: str) -> Reference | None:
        """Read a verification id; None if it cannot be one of ours."""
        match = _VERIFICATION_ID.fullmatch(verification_id)
        return self._reference(match[1]) if match else None

    def read_token(self, token: str) -> Reference | None:
        """Read the token of an id, as the store's keys have it; None if it cannot be one of ours."""
        return self.read(VERIFICATION_PREFIX + token)

    def read_delivery(self, delivery_id: str) -> tuple[Reference, int] | None:
        """Read a delivery id into its verification and ordinal; None if it cannot be one of ours."""
        match = _DELIVERY_ID.fullmatch(delivery_id)
        return (self._reference(match[1]), int(match[2])) if match else None

    def digest(self, message: bytes) -> bytes:
        """HMAC-SHA256 under the index key (32 bytes). `message` begins with a word that says what it is for."""
        return self._hash.digest(message)

    def _reference(self, token: str) -> Reference:
        # As `base64.b32decode` does, in a fifth of the time: every check of a code reads an id.
        value = int(token.encode().translate(_BASE32_DIGITS), 32)
        random = (value >> 8 * NUMBER_HASH_BYTES).to_bytes(NUMBER_HASH_BYTES, "big")
        return Reference(token, f"{value % _HASHES ^ self._pad(random):0{2 * NUMBER_HASH_BYTES}x}")

    def _pad(self, random: bytes) -> int:
        """What the number's hash is blinded with, in an id with these random bytes."""
        return int.from_bytes(self._hash.digest(b"id\0" + random)[:NUMBER_HASH_BYTES], "big")


def is_verification_id(text: str) -> bool:
    """Whether it has the form of one: nothing else of a caller may stand in a log."""
    return _VERIFICATION_ID.fullmatch(text) is not None


def fingerprint(key: bytes) -> str:
    """Names a secret key, 64 bits in hex, and reveals nothing about it."""
    return hmac.digest(key, b"fingerprint", "sha256")[:8].hex()


def shard_of(number_hash: str, shards: int) -> int:
    """The shard of a number's keyed hash (hex), 0 .. shards-1."""
    return int(number_hash[:8], 16) % shards
