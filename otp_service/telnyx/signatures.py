"""Prove that a webhook came from the carrier: Ed25519 over `timestamp|raw body`.

Guarantees: `verify` never raises on anything anybody can send; a verdict other than OK means that no byte of
the body may be believed; `STALE` is given only for a good signature, so an attacker learns nothing from clocks.
The signature covers the timestamp header exactly as it arrived, hence no number is ever re-printed.

Not here: remembering event ids. Inside the tolerance a recorded webhook verifies again.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from enum import StrEnum

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{86}==", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,20}", re.ASCII)


class Verdict(StrEnum):
    """What a webhook's signature proved to be."""

    OK = "ok"
    MISSING = "missing"  # a header is absent or empty
    MALFORMED = "malformed"  # a header cannot be what the carrier sends
    BAD_SIGNATURE = "bad_signature"  # well-formed, but by none of the keys over these bytes
    STALE = "stale"  # genuine, but not of now


def verify(
    public_keys: Iterable[bytes],
    *,
    timestamp: str | None,
    signature: str | None,
    body: bytes,
    now_s: float,
    tolerance_s: int = 300,
) -> Verdict:
    """Judge one webhook.

    `public_keys` are those that the carrier may sign with, 32 raw bytes each (ValueError otherwise: that is our
    configuration, not the caller's); several while the carrier's key changes.
    `timestamp` and `signature` are the headers `telnyx-timestamp` (Unix seconds) and `telnyx-signature-ed25519`
    as received, `body` the bytes before any parsing. `now_s` is Unix seconds; up to and including `tolerance_s`
    seconds of difference either way are accepted.
    """
    keys = [bytes(VerifyKey(public_key)) for public_key in public_keys]
    if not timestamp or not signature:
        return Verdict.MISSING
    raw_signature = decode_signature(signature)
    if raw_signature is None or not _TIMESTAMP.fullmatch(timestamp):
        return Verdict.MALFORMED
    signed = timestamp.encode("ascii") + b"|" + body
    if not any(is_by(key, raw_signature, signed) for key in keys):
        return Verdict.BAD_SIGNATURE
    return Verdict.OK if abs(now_s - int(timestamp)) <= tolerance_s else Verdict.STALE


def is_by(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the key (32 bytes) made the signature (64 bytes) of the message."""
    try:
        VerifyKey(public_key).verify(message, signature)
    except (CryptoError, ValueError):
        return False
    return True


def decode_signature(signature: str) -> bytes | None:
    """64 bytes from exactly the 88 characters that encode them; one signature has one spelling, no other."""
    if not _SIGNATURE.fullmatch(signature):
        return None
    raw = base64.b64decode(signature, validate=True)
    canonical = base64.b64encode(raw).decode("ascii") == signature
    return raw if canonical and len(raw) == _SIGNATURE_BYTES else None


def parse_public_keys(text: str) -> tuple[bytes, ...]:
    """One key or several with whitespace between them, in the same form. Raises ValueError with a sentence."""
    return tuple(parse_public_key(word) for word in text.split() or [""])


def parse_public_key(text: str) -> bytes:
    """The account's public key as its portal prints it: base64 of 32 bytes. Raises ValueError with a sentence."""
    try:
        key = base64.b64decode(text.strip().encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("The carrier's public key is not base64; copy it from the portal as it stands.") from None
    if len(key) != _KEY_BYTES:
        raise ValueError(f"The carrier's public key has {len(key)} bytes instead of {_KEY_BYTES}.")
    return key
