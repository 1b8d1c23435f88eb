"""Signatures of callbacks, as Standard Webhooks 1.0.0 has them: over `id.timestamp.body`, by HMAC-SHA256 or Ed25519.

A secret begins with what it is: `whsec_` and the base64 of 24 to 64 random bytes for HMAC (signatures `v1`),
`whsk_` and the base64 of an Ed25519 seed of 32 bytes, or of seed and public key (64), for signatures `v1a`. During a
rotation an app has several, and each signs. No error repeats a secret.

Not here: where secrets come from (`config`).
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nacl.signing import SigningKey

MAX_SECRETS = 4
SHORTEST, LONGEST = 24, 64
"""Bytes of an HMAC secret."""

_SEED = 32


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret, ready to sign. `public` is the `whpk_…` that receivers verify with; None for HMAC."""

    public: str | None
    sign: Callable[[bytes], str] = field(repr=False)


def parse(text: str) -> Secret:
    """Read one secret. Raises ValueError with a sentence that does not repeat it."""
    prefix, _, encoded = text.partition("_")
    if prefix not in ("whsec", "whsk"):
        raise ValueError("a secret begins with whsec_ or whsk_ (make one with: otp-service callbacks keygen)")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {prefix}_ is not base64") from None
    return _hmac(raw) if prefix == "whsec" else _ed25519(raw)


def parse_all(text: str) -> tuple[str, ...]:
    """Split secrets that are separated by white space, and make sure that each can sign. Raises ValueError."""
    words = tuple(text.split())
    if not 1 <= len(words) <= MAX_SECRETS:
        raise ValueError(f"1 to {MAX_SECRETS} secrets, separated by blanks, all of which sign")
    if len(set(words)) != len(words):
        raise ValueError("a secret stands in it twice")
    for word in words:
        parse(word)
    return words


def sign(secrets: Sequence[Secret], callback_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret, in their order."""
    message = f"{callback_id}.{timestamp_s}.".encode() + body
    return " ".join(secret.sign(message) for secret in secrets)


def generate(token_bytes: Callable[[int], bytes], *, ed25519: bool) -> tuple[str, str | None]:
    """A fresh secret and, for Ed25519, the public key to give to the receiver."""
    secret = f"whsk_{_b64(token_bytes(_SEED))}" if ed25519 else f"whsec_{_b64(token_bytes(SHORTEST))}"
    return secret, parse(secret).public


def _hmac(raw: bytes) -> Secret:
    if not SHORTEST <= len(raw) <= LONGEST:
        raise ValueError(f"a whsec_ secret has {SHORTEST} to {LONGEST} bytes, not {len(raw)}")
    return Secret(None, lambda message: f"v1,{_b64(hmac.digest(raw, message, 'sha256'))}")


def _ed25519(raw: bytes) -> Secret:
    if len(raw) not in (_SEED, 2 * _SEED):
        raise ValueError(f"a whsk_ secret has {_SEED} bytes, or {2 * _SEED} with its public key, not {len(raw)}")
    key = SigningKey(raw[:_SEED])
    public = bytes(key.verify_key)
    if len(raw) > _SEED and not hmac.compare_digest(raw[_SEED:], public):
        raise ValueError("the public half of a whsk_ secret does not belong to its seed")
    return Secret(f"whpk_{_b64(public)}", lambda message: f"v1a,{_b64(key.sign(message).signature)}")


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
