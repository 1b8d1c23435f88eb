"""The signed receipt of an approval: a compact JWS (RFC 7515) with EdDSA (RFC 8037), good for 120 seconds.

A mobile backend checks it offline against the published keys and may spend it once. Signing and the store's
one-time mark are elsewhere; here is what the receipt says and how strictly it is read.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LIFETIME_S = 120
BEHIND_S = 2
"""A verifier's clock may be so much behind: many libraries refuse an `iat` of the future, and have no leeway."""

TYPE = "otp-receipt+jwt"
CHANGE_TYPE = "otp-factor-change+jwt"
TOKEN_MAX = 4096
KID_MAX = 64


@dataclass(frozen=True, slots=True)
class Claims:
    """What an approval vouches for. Times are Unix seconds; `sub` is a keyed hash of the subject or of the number.

    An approval by a factor has `factor_id` and `kind`, an approval of a code that was sent `verification_id` and
    `channel`. What is empty is left out. `test`: the code was that of a test number, and nothing was sent.
    `acr`: what the app's policy of the purpose names. `change`: what the approval has changed of the person's factors.
    """

    iss: str
    aud: str
    sub: str
    purpose: str
    channel: str
    context_hash: str
    jti: str
    verification_id: str
    approved_s: int
    factor_id: str = ""
    kind: str = ""
    test: bool = False
    acr: str = ""
    change: str = ""

    def payload(self) -> dict[str, Any]:
        """The JWT claims (RFC 7519; `amr` values from RFC 8176)."""
        named = {
            "acr": self.acr,
            "change": self.change,
            "verification_id": self.verification_id,
            "channel": self.channel,
            "factor_id": self.factor_id,
            "kind": self.kind,
        }
        return {
            **_registered(self.iss, self.aud, self.sub, self.jti, self.approved_s),
            "purpose": self.purpose,
            "amr": ["otp", "sms"] if self.channel == "sms" and not self.test else ["otp"],
            "context_hash": self.context_hash or None,
            **{name: value for name, value in named.items() if value},
            **({"test": True} if self.test else {}),
        }


class Change(StrEnum):
    """What has changed of a person's factors."""

    ADDED = "factor_added"
    REMOVED = "factor_removed"
    CODES_REPLACED = "codes_replaced"
    NUMBER_BOUND = "number_bound"
    """In the receipt of the approval that bound the number."""


@dataclass(frozen=True, slots=True)
class ChangeClaims:
    """What the receipt of a change vouches for. It is of another type, so that it can never pass for an approval."""

    iss: str
    aud: str
    sub: str
    jti: str
    changed_s: int
    change: Change
    factor_id: str
    kind: str

    def payload(self) -> dict[str, Any]:
        """The JWT claims (RFC 7519)."""
        registered = _registered(self.iss, self.aud, self.sub, self.jti, self.changed_s)
        return {**registered, "change": self.change, "factor_id": self.factor_id, "kind": self.kind}


def _registered(iss: str, aud: str, sub: str, jti: str, at_s: int) -> dict[str, Any]:
    iat = at_s - BEHIND_S
    return {"iss": iss, "aud": aud, "sub": sub, "iat": iat, "exp": iat + LIFETIME_S, "jti": jti}


def encode(claims: Claims | ChangeClaims, kid: str, sign: Callable[[bytes], bytes]) -> str:
    """Serialise and sign. `sign` returns the 64-byte Ed25519 signature of its argument."""
    header = {"alg": "EdDSA", "typ": CHANGE_TYPE if isinstance(claims, ChangeClaims) else TYPE, "kid": kid}
    signing_input = f"{_b64(_json(header))}.{_b64(_json(claims.payload()))}"
    return f"{signing_input}.{_b64(sign(signing_input.encode()))}"


def decode(token: str, verify: Callable[[str, bytes, bytes], bool]) -> Mapping[str, Any] | None:
    """The claims of a receipt whose signature is good, or None for anything else.

    `verify(kid, signature, message)` tells whether the key named `kid` made the signature. The algorithm is never
    taken from the token (RFC 8725): another `alg` or `typ` than ours is no receipt.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_MAX:
        return None
    try:
        header, payload, signature = json.loads(_unb64(parts[0])), _unb64(parts[1]), _unb64(parts[2])
        if not isinstance(header, dict) or header.get("alg") != "EdDSA" or header.get("typ") != TYPE:
            return None
        kid = header.get("kid")
        if not isinstance(kid, str) or not verify(kid, signature, f"{parts[0]}.{parts[1]}".encode()):
            return None
        claims = json.loads(payload)
    except (ValueError, RecursionError, binascii.Error):
        return None
    return claims if isinstance(claims, dict) else None


def kid_of(token: str) -> str | None:
    """The id of the key that a receipt says it was signed with, believed by nobody; None if it says none."""
    if len(token) > TOKEN_MAX:
        return None
    try:
        header = json.loads(_unb64(token.partition(".")[0]))
    except (ValueError, RecursionError, binascii.Error):
        return None
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) and kid.isascii() and len(kid) <= KID_MAX else None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _b64(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
