"""Keyring files: which are refused, how far they can be rotated, and what is shown of them."""

import base64
import json

import pytest

from otp_service import keyring
from otp_service.keyring import KeyringError

from .keyrings import ring_file


def spoiled(**changes: object) -> bytes:
    """A good keyring with a second key that differs from the first by these members."""
    data = json.loads(ring_file())
    data["keys"].append({**data["keys"][0], "kid": "k2", **changes})
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (spoiled(kid=json.loads(ring_file())["keys"][0]["kid"]), "two keys"),
        (spoiled(kid="a:b"), "kid"),
        (spoiled(kid=""), "kid"),
        (spoiled(kid="a b"), "kid"),
        (spoiled(kid="k2\n"), "kid"),
        (spoiled(kid=5), "kid"),
        (spoiled(kid=None), "kid"),
        (spoiled(kid=["k2"]), "kid"),
        (spoiled(state="next"), "state"),
        (spoiled(active_from="soon"), "active_from"),
        (spoiled(active_from=5), "active_from"),
        (spoiled(active_from="2026-01-01T00:00:00"), "active_from"),
        (spoiled(state=None), "state"),
    ],
)
def test_a_key_that_would_be_lost_in_silence_is_refused(raw: bytes, says: str) -> None:
    """Two keys of one id, an id that no seal can name, a state that nobody knows: refused, and no secret is shown."""
    with pytest.raises(KeyringError, match=says) as refused:
        keyring.parse(raw)
    assert json.loads(raw)["keys"][0]["secret"] not in str(refused.value)


def test_rotation_is_bounded_by_nothing_but_the_file() -> None:
    """After twenty rotations one key is active, and what the first one made is still opened and believed."""
    raw = ring_file()
    first = keyring.parse(raw)
    for turn in range(20):
        raw = keyring.rotate(raw, lambda size, turn=turn: bytes([turn]) * size, "2026-02-01T00:00:00Z")  # type: ignore[misc]
    last = keyring.parse(raw)
    assert [item["state"] for item in json.loads(raw)["keys"]].count("active") == 1
    assert last.open(first.seal(b"x")) == b"x"
    assert last.verify(first.active_kid, first.sign(b"m"), b"m")
    assert len(last.jwks()["keys"]) == 21


def test_a_broken_keyring_is_not_rotated() -> None:
    """Nothing is written over a file that could not be read."""
    with pytest.raises(KeyringError):
        keyring.rotate(b"{}", bytes, "2026-02-01T00:00:00Z")


def test_no_secret_of_the_file_is_shown_by_the_ring() -> None:
    """Neither as it stands in the file nor as bytes nor in hex."""
    data = json.loads(ring_file(7))
    ring = keyring.parse(ring_file(7))
    shown = f"{ring!r} {ring} {keyring.RootKey.derive('k', bytes(32))!r}"
    for text in (data["index_key"], data["keys"][0]["secret"]):
        raw = base64.b64decode(text)
        assert text not in shown
        assert raw.hex() not in shown
        assert repr(raw) not in shown
