"""Codes of authenticator apps (RFC 6238 over RFC 4226), computed by pyotp.

A code counts for its time step: which text was typed decides nothing beside that. Whether a step may still be used is
decided in the store's script.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pyotp

from .factors import TotpForm

SECRET_BYTES = 20
"""160 bits, as RFC 4226 recommends."""

DRIFT_STEPS = 1
"""A phone's clock may be so many steps off, each way."""

_HASHES: dict[str, Callable[..., Any]] = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}


def base32(secret: bytes) -> str:
    """The secret as people and apps write it (RFC 4648, without padding)."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, form: TotpForm, *, issuer: str, label: str) -> str:
    """The `otpauth:` address that a QR code holds. Parameters that every app takes for granted are left out.

    Apps take what stands before the first colon for the issuer, so it has none.
    """
    return _totp(secret, form).provisioning_uri(name=label, issuer_name=issuer.replace(":", ""))


def code_at(secret: bytes, form: TotpForm, step: int) -> str:
    """The code of a time step."""
    return _totp(secret, form).generate_otp(step)


def matching_steps(secret: bytes, form: TotpForm, code: str, now_ms: int) -> list[int]:
    """The steps around now whose code this is, earliest first."""
    now = now_ms // (form.period_s * 1000)
    near = range(max(0, now - DRIFT_STEPS), now + DRIFT_STEPS + 1)
    # All are computed and compared in full: the time it takes says nothing.
    return [step for step in near if hmac.compare_digest(code_at(secret, form, step), code)]


def _totp(secret: bytes, form: TotpForm) -> pyotp.TOTP:
    return pyotp.TOTP(base32(secret), digits=form.digits, digest=_HASHES[form.algorithm], interval=form.period_s)
