"""The secrets that never enter the store, and what is done with them.

A keyring is a JSON file (mode 0600): one index key that names numbers, gives the key of watch tokens and is never
changed, and one or more root keys. Each root key gives, by HMAC with a purpose word, a pepper for codes, a key to seal
what only the worker may read and a seed to sign receipts. The newest active key makes new things, every key in the file
still opens old ones, so rotation loses nothing. Reading the file is `config`'s business, not this module's.
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.signing import SigningKey

from .domain.errors import SealBroken

KEY_BYTES = 32
VERSION = 1
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_STATES = ("active", "verify")


class KeyringError(ValueError):
    """The keyring file cannot be used; the sentence says why and names no secret."""


@dataclass(frozen=True, slots=True)
class RootKey:
    """One generation of secrets. Its repr shows the key's id only."""

    kid: str
    pepper: bytes = field(repr=False)
    box: SecretBox = field(repr=False)
    signing: SigningKey = field(repr=False)

    @classmethod
    def derive(cls, kid: str, secret: bytes) -> "RootKey":
        """Derive the purposes' keys from one 32-byte secret."""
        pepper, seal, receipt = (_derived(secret, purpose) for purpose in ("pepper", "seal", "receipt"))
        return cls(kid, pepper, SecretBox(seal), SigningKey(receipt))


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, f"otp-service/v1/{purpose}".encode(), "sha256")


class Keyring:
    """All generations. Safe for many threads; nothing in it changes after it is built."""

    def __init__(self, index_key: bytes, keys: Mapping[str, RootKey], active: str) -> None:
        self._keys = dict(keys)
        self._active = self._keys[active]
        self.index_key = index_key
        # Of the key that never changes, so that a token lives as long as its verification is remembered.
        self.watch_key = _derived(index_key, "watch")
        self.peppers = {kid: key.pepper for kid, key in self._keys.items()}

    def __repr__(self) -> str:
        return f"Keyring(active={self._active.kid!r}, keys={sorted(self._keys)})"

    @property
    def active_kid(self) -> str:
        """The key that makes new things."""
        return self._active.kid

    def seal(self, plain: bytes) -> str:
        """Encrypt and authenticate for the worker: `kid:base64`."""
        return f"{self._active.kid}:{base64.b64encode(self._active.box.encrypt(plain)).decode()}"

    def open(self, sealed: str) -> bytes:
        """Undo `seal`. Raises SealBroken if the key is not in the ring or the value was changed."""
        kid, _, text = sealed.partition(":")
        key = self._keys.get(kid)
        if key is None:
            raise SealBroken("sealed with a key that is not in the keyring")
        try:
            return key.box.decrypt(base64.b64decode(text, validate=True))
        except (CryptoError, ValueError) as error:
            raise SealBroken("the sealed value was changed") from error

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature (64 bytes) by the active key."""
        return self._active.signing.sign(message).signature

    def verify(self, kid: str, signature: bytes, message: bytes) -> bool:
        """Whether the key `kid` of this ring made the signature."""
        key = self._keys.get(kid)
        if key is None or len(signature) != 64:
            return False
        try:
            key.signing.verify_key.verify(message, signature)
        except CryptoError:
            return False
        return True

    def jwks(self) -> dict[str, Any]:
        """The public keys of the receipts (RFC 7517, RFC 8037)."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "alg": "EdDSA",
                    "use": "sig",
                    "kid": kid,
                    "x": base64.urlsafe_b64encode(bytes(key.signing.verify_key)).rstrip(b"=").decode(),
                }
                for kid, key in self._keys.items()
            ]
        }


def parse(raw: bytes) -> Keyring:
    """Read a keyring file's bytes. Raises KeyringError."""
    try:
        data = json.loads(raw)
        if data["version"] != VERSION:
            raise KeyringError(f"keyring version {data['version']!r} is not {VERSION}")
        index_key = _key(data["index_key"])
        keys: dict[str, RootKey] = {}
        for item in data["keys"]:
            kid = _kid(item, keys)
            keys[kid] = RootKey.derive(kid, _key(item["secret"]))
        active = [item["kid"] for item in data["keys"] if item["state"] == "active"]
    except KeyringError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise KeyringError("the file is not a keyring (make one with: otp-service keyring create PATH)") from error
    if not active:
        raise KeyringError("the keyring has no active key")
    return Keyring(index_key, keys, active[-1])


def _kid(item: Mapping[str, Any], known: Mapping[str, RootKey]) -> str:
    # A seal is `kid:base64`, so a colon in the id, or a second key of the same id, would leave seals that nobody opens.
    kid = item["kid"]
    if not (isinstance(kid, str) and _KID.fullmatch(kid)):
        raise KeyringError("a key's kid has 1 to 64 letters, digits, - and _")
    if kid in known:
        raise KeyringError(f"two keys have the kid {kid!r}")
    if item["state"] not in _STATES:
        raise KeyringError(f"the state of the key {kid!r} is neither {_STATES[0]} nor {_STATES[1]}")
    return kid


def create(token_bytes: Callable[[int], bytes], created_at: str) -> bytes:
    """A new keyring file. `token_bytes` as in `secrets`; `created_at` RFC 3339."""
    data = {"version": VERSION, "index_key": _text(token_bytes(KEY_BYTES)), "keys": []}
    return _with_new_key(data, token_bytes, created_at)


def rotate(raw: bytes, token_bytes: Callable[[int], bytes], created_at: str) -> bytes:
    """Add a new active key; the others stay to open, check and publish what they made. Raises KeyringError."""
    parse(raw)
    data = json.loads(raw)
    for item in data["keys"]:
        item["state"] = "verify"
    return _with_new_key(data, token_bytes, created_at)


def _with_new_key(data: dict[str, Any], token_bytes: Callable[[int], bytes], created_at: str) -> bytes:
    kid = "k" + token_bytes(4).hex()
    data["keys"].append(
        {"kid": kid, "created_at": created_at, "state": "active", "secret": _text(token_bytes(KEY_BYTES))}
    )
    return json.dumps(data, indent=2).encode() + b"\n"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _key(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise KeyringError("a key in the keyring is not base64") from error
    if len(raw) != KEY_BYTES:
        raise KeyringError(f"a key in the keyring has {len(raw)} bytes instead of {KEY_BYTES}")
    return raw
