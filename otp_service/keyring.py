"""The secrets that never enter the store, and what is done with them.

A keyring is a JSON file (mode 0600): one index key that names numbers, gives the key of watch tokens and is never
changed, and one or more root keys. Each root key gives, by HMAC with the purpose, a pepper for codes, a key to seal
what only the worker may read, a seed to sign receipts and one to sign checkpoints of the audit log. The newest active
key makes new things, every key in the file still opens old ones, so rotation loses nothing. A new key may have a time
(`active_from`) before which it is only published: whoever verifies receipts has it in time. `config` reads the file,
and `keyring_reload` notices that it changed.

States of a key: `next` (published, makes nothing yet), `active` (makes new things), `verify` (published, opens and
checks what it made), `retired` (opens and checks what it made, published no more).
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nacl.bindings import crypto_secretbox_easy
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.signing import SigningKey
from nacl.utils import random

from .domain.errors import KeyUnknown, SealBroken
from .domain.ids import Ids, fingerprint
from .domain.keyed_hash import KeyedHash
from .domain.watch_tokens import WatchTokens

KEY_BYTES = 32
VERSION = 1
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_STATES = ("active", "verify", "retired")


class KeyringError(ValueError):
    """The keyring file cannot be used; the sentence says why and names no secret."""


@dataclass(frozen=True, slots=True)
class RootKey:
    """One generation of secrets. Its repr shows the key's id only.

    `state` as in the file: `active`, `verify` or `retired`. `from_ms`: not active before, Unix milliseconds (0: no such
    time). `created_at` as in the file. `fingerprint`: names the secret and reveals nothing about it.
    """

    kid: str
    pepper: KeyedHash = field(repr=False)
    box: SecretBox = field(repr=False)
    signing: SigningKey = field(repr=False)
    checkpoints: SigningKey = field(repr=False)
    state: str = field(default="active", repr=False)
    from_ms: int = field(default=0, repr=False)
    created_at: str = field(default="", repr=False)
    fingerprint: str = field(default="", repr=False)

    @classmethod
    def derive(
        cls, kid: str, secret: bytes, state: str = "active", from_ms: int = 0, created_at: str = ""
    ) -> "RootKey":
        """Derive the purposes' keys from one 32-byte secret."""
        purposes = ("pepper", "seal", "receipt", "checkpoint")
        pepper, seal, receipt, checkpoint = (_derived(secret, purpose) for purpose in purposes)
        signing = SigningKey(receipt), SigningKey(checkpoint)
        return cls(kid, KeyedHash(pepper), SecretBox(seal), *signing, state, from_ms, created_at, fingerprint(secret))

    @property
    def created_ms(self) -> int:
        """When it was made, Unix milliseconds; 0 if the file does not say it."""
        try:
            return int(datetime.fromisoformat(self.created_at).timestamp() * 1000)
        except (ValueError, OverflowError):
            return 0


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, f"otp-service/v1/{purpose}".encode(), "sha256")


class Keyring:
    """All generations as of one moment. Safe for many threads; nothing in it changes after it is built."""

    def __init__(self, index_key: bytes, keys: Mapping[str, RootKey], now_ms: int = 0) -> None:
        """`now_ms` decides which key is active: of those whose time has come, the last in the file.

        Where the time of none has come (a clock that is wrong) it is the first. Raises KeyringError.
        """
        self._keys = dict(keys)
        candidates = [key for key in self._keys.values() if key.state == "active"]
        if not candidates:
            raise KeyringError("the keyring has no active key")
        self._active = next((key for key in reversed(candidates) if key.from_ms <= now_ms), candidates[0])
        self._waiting = [key for key in candidates[candidates.index(self._active) + 1 :] if key.from_ms > now_ms]
        self.changes_ms = min((key.from_ms for key in self._waiting), default=None)
        """When the next key becomes active, Unix milliseconds; None if none waits."""

        self._index_key = index_key
        self.ids = Ids(index_key)
        # Of the key that never changes, so that a token lives as long as its verification is remembered.
        self.watch_tokens = WatchTokens(_derived(index_key, "watch"))
        self.peppers = {kid: key.pepper for kid, key in self._keys.items()}

    def __repr__(self) -> str:
        return f"Keyring(active={self._active.kid!r}, keys={sorted(self._keys)})"

    def current(self) -> "Keyring":
        """Itself: what a use case reads from it twice is of the same moment (see `keyring_reload`)."""
        return self

    def at(self, now_ms: int) -> "Keyring":
        """The same keys at another time."""
        return Keyring(self._index_key, self._keys, now_ms)

    @property
    def active_kid(self) -> str:
        """The key that makes new things."""
        return self._active.kid

    @property
    def kids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._keys)

    def knows(self, kid: str) -> bool:
        """Whether a key of this id is in the ring."""
        return kid in self._keys

    @property
    def fingerprint(self) -> str:
        """Names the index key, 64 bits in hex, and reveals nothing about it."""
        return self.ids.fingerprint

    def states(self) -> list[tuple[RootKey, str]]:
        """Every key with its state of the moment: `next`, `active`, `verify` or `retired`."""
        return [(key, self._state(key)) for key in self._keys.values()]

    def _state(self, key: RootKey) -> str:
        if key is self._active:
            return "active"
        if key in self._waiting:
            return "next"
        return "retired" if key.state == "retired" else "verify"

    def superseded_ms(self, kid: str) -> int | None:
        """When the key after this one took its place, or will, Unix milliseconds; None if there is none."""
        order = list(self._keys)
        later = [self._keys[other] for other in order[order.index(kid) + 1 :]]
        return min((key.from_ms or key.created_ms for key in later), default=None)

    def seal(self, plain: bytes) -> str:
        """Encrypt and authenticate for the worker: `kid:base64`."""
        return self._sealed(plain, random(SecretBox.NONCE_SIZE))

    def seal_alike(self, plain: bytes) -> str:
        """As `seal`, but equal values have equal seals: for what a caller may compare."""
        nonce = self.ids.digest(b"nonce\0" + plain)[: SecretBox.NONCE_SIZE]
        return self._sealed(plain, nonce)

    def _sealed(self, plain: bytes, nonce: bytes) -> str:
        # As `SecretBox.encrypt` does, without its object for the parts of what it made.
        sealed = crypto_secretbox_easy(plain, nonce, bytes(self._active.box))
        return f"{self._active.kid}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str) -> bytes:
        """Undo `seal` and `seal_alike`. Raises KeyUnknown for a key that is not in the ring, and SealBroken."""
        kid, colon, text = sealed.partition(":")
        if not (colon and _KID.fullmatch(kid)):
            raise SealBroken("the sealed value has no form of ours")
        key = self._keys.get(kid)
        if key is None:
            raise KeyUnknown(kid)
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

    def checkpoint_keys(self) -> tuple[SigningKey, list[SigningKey]]:
        """The key that signs checkpoints of the audit log now, and those of all keys: an old one names the new one."""
        return self._active.checkpoints, [key.checkpoints for key in self._keys.values()]

    def jwks(self) -> dict[str, Any]:
        """The public keys of the receipts (RFC 7517, RFC 8037), those of the next key among them."""
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
                if key.state != "retired"
            ]
        }


def parse(raw: bytes, now_ms: int = 0) -> Keyring:
    """Read a keyring file's bytes, as of `now_ms`. Raises KeyringError.

    At 0 no key is active that has a time of its own, unless all have one.
    """
    try:
        data = json.loads(raw)
        if data["version"] != VERSION:
            raise KeyringError(f"keyring version {data['version']!r} is not {VERSION}")
        index_key = _key(data["index_key"])
        keys: dict[str, RootKey] = {}
        for item in data["keys"]:
            kid = _kid(item, keys)
            created_at = item.get("created_at", "")
            secret = _key(item["secret"])
            keys[kid] = RootKey.derive(kid, secret, item["state"], _from_ms(item), str(created_at))
    except KeyringError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise KeyringError("the file is not a keyring (make one with: otp-service keyring create PATH)") from error
    return Keyring(index_key, keys, now_ms)


def _from_ms(item: Mapping[str, Any]) -> int:
    text = item.get("active_from")
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no offset")
        return max(0, int(moment.timestamp() * 1000))
    except (TypeError, ValueError, OverflowError) as error:
        raise KeyringError(f"active_from of the key {item['kid']!r} is not an RFC 3339 time") from error


def _kid(item: Mapping[str, Any], known: Mapping[str, RootKey]) -> str:
    # A seal is `kid:base64`, so a colon in the id, or a second key of the same id, would leave seals that nobody opens.
    kid = item["kid"]
    if not (isinstance(kid, str) and _KID.fullmatch(kid)):
        raise KeyringError("a key's kid has 1 to 64 letters, digits, - and _")
    if kid in known:
        raise KeyringError(f"two keys have the kid {kid!r}")
    if item["state"] not in _STATES:
        raise KeyringError(f"the state of the key {kid!r} is none of: {', '.join(_STATES)}")
    return kid


def create(token_bytes: Callable[[int], bytes], created_at: str) -> bytes:
    """A new keyring file. `token_bytes` as in `secrets`; `created_at` RFC 3339."""
    data = {"version": VERSION, "index_key": _text(token_bytes(KEY_BYTES)), "keys": []}
    return _with_new_key(data, token_bytes, created_at)


def rotate(raw: bytes, token_bytes: Callable[[int], bytes], created_at: str, active_from: str | None = None) -> bytes:
    """Add a new key; the others stay to open, check and publish what they made. Raises KeyringError.

    With `active_from` (RFC 3339) it is only published before, and the key before it goes on making new things. Without
    it is active at once, by whatever clock.
    """
    parse(raw)
    data = json.loads(raw)
    if active_from is None:
        for item in data["keys"]:
            item["state"] = "verify" if item["state"] == "active" else item["state"]
    return _with_new_key(data, token_bytes, created_at, active_from)


def retire(raw: bytes, kid: str, now_ms: int) -> bytes:
    """Publish the key no more; it still opens and checks what it made. Raises KeyringError.

    Only a key can be retired in whose place another one is active already.
    """
    states = {key.kid: state for key, state in parse(raw, now_ms).states()}
    if kid not in states:
        raise KeyringError(f"there is no key {kid!r}; see: otp-service keyring status")
    if states[kid] in ("active", "next"):
        raise KeyringError(f"the key {kid} is {states[kid]}; only one that another key has replaced can be retired")
    data = json.loads(raw)
    for item in data["keys"]:
        item["state"] = "retired" if item["kid"] == kid else item["state"]
    return json.dumps(data, indent=2).encode() + b"\n"


def _with_new_key(
    data: dict[str, Any], token_bytes: Callable[[int], bytes], created_at: str, active_from: str | None = None
) -> bytes:
    kid = "k" + token_bytes(4).hex()
    item = {"kid": kid, "created_at": created_at, "state": "active", "secret": _text(token_bytes(KEY_BYTES))}
    if active_from is not None:
        item["active_from"] = active_from
    data["keys"].append(item)
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
