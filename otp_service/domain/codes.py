"""One-time codes: how they are drawn, digested and recognised.

A code leaves this service only in the message to the phone. At rest there is only its digest under a keyed
pepper, since a bare hash of six digits is a million guesses (OWASP MFA cheat sheet).
"""

import hashlib
import re
from collections.abc import Callable, Mapping

from .errors import InvalidRequest
from .keyed_hash import KeyedHash

MIN_LENGTH, MAX_LENGTH = 6, 10
DIGEST_BYTES = 16
_LENGTHS = [size.to_bytes(4, "big").decode("ascii") for size in range(128)]
"""The four bytes of each length that are ASCII themselves."""
_TYPED = re.compile(r"[0-9]{4,10}", re.ASCII)


def draw(length: int, randbelow: Callable[[int], int]) -> str:
    """Draw a code of `length` digits, all equally likely (`randbelow` as in `secrets`). NIST SP 800-63B: >= 6."""
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise ValueError(f"a code has {MIN_LENGTH} to {MAX_LENGTH} digits, not {length}")
    return str(randbelow(10**length)).zfill(length)


def is_typed(code: str) -> bool:
    """Whether it has the form of a code of digits."""
    return _TYPED.fullmatch(code) is not None


def require_typed(code: str) -> str:
    """The code as a person typed it: 4 to 10 ASCII digits and nothing else. Raises InvalidRequest."""
    if not _TYPED.fullmatch(code):
        raise InvalidRequest(
            "The code must be 4 to 10 ASCII digits without spaces.", [("/code", "4 to 10 digits 0-9, nothing else")]
        )
    return code


def context_hash(context: Mapping[str, str] | None) -> str:
    """Hash of a transaction's context in canonical form (order does not matter); empty for none.

    Binding a code to amount and payee is PSD2 RTS 2018/389 article 5: any change makes the code useless.
    """
    if not context:
        return ""
    parts = [part for key in sorted(context) for part in (key, context[key])]
    return hashlib.sha256(length_prefixed(*parts)).hexdigest()


def digest(pepper: KeyedHash, *, app: str, verification_id: str, number_hash: str, context: str, code: str) -> str:
    """HMAC-SHA256, its first 16 bytes in hex (RFC 2104, section 5), over the length-prefixed facts that a code is bound
    to (`context` from `context_hash`)."""
    message = length_prefixed("otp/v1", app, verification_id, number_hash, context, code)
    return pepper.digest(message)[:DIGEST_BYTES].hex()


def digest_by_number(pepper: KeyedHash, *, app: str, purpose: str, number_hash: str, context: str, code: str) -> str:
    """As `digest`, for a caller who knows the number and the purpose, and not the verification."""
    message = length_prefixed("otp/v1/number", app, purpose, number_hash, context, code)
    return pepper.digest(message)[:DIGEST_BYTES].hex()


def length_prefixed(*parts: str) -> bytes:
    """Join parts so that no two different lists give the same bytes: each is led by its length, four bytes."""
    try:
        led = "".join([_LENGTHS[len(part)] + part for part in parts])
        if led.isascii():
            # As nearly always. Each character is one byte, and no part is encoded alone.
            return led.encode()
    except IndexError:
        pass  # a long part
    return b"".join([len(raw).to_bytes(4, "big") + raw for raw in map(str.encode, parts)])
