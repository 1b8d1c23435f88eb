"""Watch tokens: whoever holds one may look at one verification and do nothing else."""

import hmac

from . import base32
from .keyed_hash import KeyedHash

TOKEN_BYTES = 16
TOKEN_DIGITS = 26
PREFIX = "wt_"


class WatchTokens:
    """Makes and checks watch tokens with one secret key (32 bytes). Its repr does not show the key.

    A token is bound to the verification's id, and with it to the app: an id belongs to one app only. So it is checked
    before anything is read.
    """

    def __init__(self, key: bytes) -> None:
        self._hash = KeyedHash(key)

    def __repr__(self) -> str:
        return "WatchTokens()"

    def make(self, verification_id: str) -> str:
        """The verification's token: `wt_` and 128 bits in base32 that only the key's holder can make."""
        proof = self._hash.digest(b"watch\0" + verification_id.encode())[:TOKEN_BYTES]
        return PREFIX + base32.encoded(proof.ljust(base32.SIZE, b"\0"))[:TOKEN_DIGITS]

    def is_valid(self, verification_id: str, token: str) -> bool:
        """Whether this is the verification's token. The time it takes does not depend on where the two differ."""
        return hmac.compare_digest(token.encode(errors="replace"), self.make(verification_id).encode())
