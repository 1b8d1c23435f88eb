"""The keyring: purposes have keys of their own, a changed text does not open, and what is no keyring is refused."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service import config, keyring
from otp_service.config import load
from otp_service.domain.errors import ConfigError, KeyUnknown, SealBroken
from otp_service.keyring import KeyringError


def fresh(seed: int = 0) -> bytes:
    """A keyring file."""
    return keyring.create(lambda n: bytes((seed + i) % 256 for i in range(n)), "2026-01-01T00:00:00Z")


def test_what_one_generation_sealed_the_next_opens() -> None:
    """Rotation loses nothing: old boxes open, old peppers stay available, the new key is used for new data."""
    raw = fresh()
    old = keyring.parse(raw)
    new = keyring.parse(keyring.rotate(raw, lambda n: b"\x09" * n, "2026-02-01T00:00:00Z"))
    assert new.open(old.seal(b"secret")) == b"secret"
    assert new.fingerprint == old.fingerprint
    assert set(new.peppers) == {old.active_kid, new.active_kid}
    assert new.active_kid != old.active_kid
    with pytest.raises(KeyUnknown) as unknown:
        old.open(new.seal(b"secret"))
    assert unknown.value.kid == new.active_kid


@given(st.binary(max_size=100), st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_box_does_not_open(plain: bytes, place: int, flip: int) -> None:
    """Every byte is authenticated, and no two boxes are alike."""
    ring = keyring.parse(fresh())
    sealed = ring.seal(plain)
    assert ring.open(sealed) == plain
    assert ring.seal(plain) != sealed
    kid, _, text = sealed.partition(":")
    raw = bytearray(base64.b64decode(text))
    raw[place % len(raw)] ^= flip
    with pytest.raises(SealBroken):
        ring.open(f"{kid}:{base64.b64encode(raw).decode()}")


@pytest.mark.parametrize("sealed", ["", ":", "x", "a b:AAAA", "ä:AAAA", "k00010203:", "k00010203:!!", "k00010203:AAAA"])
def test_what_is_no_box_does_not_open(sealed: str) -> None:
    """Malformed or changed: our own exception."""
    with pytest.raises(SealBroken):
        keyring.parse(fresh()).open(sealed)


def test_the_purposes_have_keys_of_their_own() -> None:
    """Pepper, seal and signature are derived apart; the ring's repr shows ids only."""
    raw = fresh()
    ring = keyring.parse(raw)
    (pepper,) = ring.peppers.values()
    index_key, secret = (base64.b64decode(text) for text in (json.loads(raw)["index_key"], _only_secret(raw)))
    derived = hmac.digest(secret, b"otp-service/v1/pepper", "sha256")
    assert pepper.digest(b"code") == hmac.digest(derived, b"code", "sha256")
    assert pepper.digest(b"code") != hmac.digest(index_key, b"code", "sha256")
    assert derived.hex() not in repr(ring)
    assert repr(pepper) == "KeyedHash()"
    root = keyring.RootKey.derive("k1", bytes(32))
    assert repr(root) == "RootKey(kid='k1')"


def _only_secret(raw: bytes) -> str:
    (key,) = json.loads(raw)["keys"]
    return str(key["secret"])


def _spoiled(**changes: Any) -> bytes:
    data = json.loads(fresh())
    for name, value in changes.items():
        if value is None:
            del data[name]
        else:
            data[name] = value
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"[" * 50_000,
        b"\xff",
        _spoiled(version=2),
        _spoiled(version=None),
        _spoiled(index_key=None),
        _spoiled(index_key="AAAA"),
        _spoiled(index_key="!" * 44),
        _spoiled(index_key=1),
        _spoiled(keys=[]),
        _spoiled(keys=[{}]),
        _spoiled(keys={"a": 1}),
        _spoiled(keys=[{"kid": "k", "state": "verify", "secret": base64.b64encode(bytes(32)).decode()}]),
        _spoiled(keys=[{"kid": "k", "state": "active", "secret": base64.b64encode(bytes(31)).decode()}]),
    ],
)
def test_what_is_no_keyring_is_refused(raw: bytes) -> None:
    """With a sentence that holds no secret, and never another exception."""
    with pytest.raises(KeyringError):
        keyring.parse(raw)


def test_a_keyring_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Mode 0600 or nothing; missing and broken files are named too."""
    path = tmp_path / "ring.json"
    settings = load({"OTP_KEYRING": str(path)}, tmp_path)
    with pytest.raises(ConfigError, match="OTP_KEYRING"):
        config.load_keyring(settings)
    path.write_bytes(fresh())
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        config.load_keyring(settings)
    path.chmod(0o600)
    assert config.load_keyring(settings).active_kid
    path.write_bytes(b"{}")
    with pytest.raises(ConfigError, match="OTP_KEYRING"):
        config.load_keyring(settings)
    with pytest.raises(ConfigError, match="OTP_KEYRING"):
        config.load_keyring(load({}, tmp_path))
