"""The carrier's webhooks in a bundle: each is what its record commits to, and the carrier's key signed it.

Three files for each, with the number of the record that it caused: the signed bytes (`timestamp|body`), the carrier's
signature (Ed25519) and the salt, both in hex. `carrier.keys` has the keys that signed them, as the carrier shows them.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from .notes import NoteError, b64, unb64

WEBHOOKS, CARRIER_KEYS = "webhooks/", "carrier.keys"
SIGNED, SIGNATURE, SALT = ".signed", ".signature", ".salt"
KEY_BYTES = 32

Files = Mapping[str, bytes]


def webhook_files(name: str, *, salt: bytes, signature: bytes, signed: bytes) -> dict[str, bytes]:
    """The files of one webhook. `name`: of the record's files, without their directory."""
    base = f"{WEBHOOKS}{name}"
    hexadecimal = {base + SIGNATURE: signature, base + SALT: salt}
    return {base + SIGNED: signed, **{one: f"{raw.hex()}\n".encode() for one, raw in hexadecimal.items()}}


def keys_file(keys: Iterable[bytes]) -> dict[str, bytes]:
    """The file with the carrier's keys; none without keys."""
    lines = sorted({b64(key) for key in keys})
    return {CARRIER_KEYS: "".join(f"{line}\n" for line in lines).encode()} if lines else {}


def carrier_key(text: str) -> bytes:
    """A key as the carrier shows it: base64 of 32 bytes. Raises NoteError."""
    raw = unb64(text.strip())
    if len(raw) != KEY_BYTES:
        raise NoteError("the carrier's key has not 32 bytes")
    return raw


def verify_webhooks(leaves: Sequence[Mapping[str, Any]], files: Files, trusted: Sequence[bytes]) -> tuple[bytes, ...]:
    """The carrier's keys, one for each webhook that is there, in the order of the records.

    `trusted`: the keys that were learnt elsewhere; without them those of the bundle count. Raises NoteError.
    """
    brought = [carrier_key(line) for line in _text(files.get(CARRIER_KEYS, b"")).splitlines()]
    if files.get(CARRIER_KEYS, b"") != keys_file(brought).get(CARRIER_KEYS, b""):
        raise NoteError(f"{CARRIER_KEYS} is not a line for each key")
    keys = [*(trusted or brought)]
    found = [_verified(leaf, files, keys) for leaf in leaves]
    known = {f"{WEBHOOKS}{_bare(leaf)}{kind}" for leaf in leaves for kind in (SIGNED, SIGNATURE, SALT)}
    stray = next((name for name in sorted(files) if name.startswith(WEBHOOKS) and name not in known), None)
    if stray is not None:
        raise NoteError(f"{stray} belongs to no record")
    return tuple(key for key in found if key is not None)


def without_webhook(leaves: Sequence[Mapping[str, Any]], files: Files) -> tuple[int, ...]:
    """The numbers of the records that name a webhook which is not in the bundle."""
    named = (leaf for leaf in leaves if leaf.get("webhook") is not None)
    return tuple(int(leaf["seq"]) for leaf in named if f"{WEBHOOKS}{_bare(leaf)}{SIGNED}" not in files)


def _bare(leaf: Mapping[str, Any]) -> str:
    return str(leaf["name"]).rpartition("/")[2]


def _verified(leaf: Mapping[str, Any], files: Files, keys: Sequence[bytes]) -> bytes | None:
    base = f"{WEBHOOKS}{_bare(leaf)}"
    parts = [files.get(base + kind) for kind in (SIGNED, SIGNATURE, SALT)]
    if parts == [None] * 3:
        return None
    signed, signature, salt = parts[0] or b"", _hexadecimal(base + SIGNATURE, files), _hexadecimal(base + SALT, files)
    if leaf.get("webhook") != f"sha256:{sha256(salt + signed).hexdigest()}":
        raise NoteError(f"{base}{SIGNED} is not what the record commits to")
    key = next((one for one in keys if _is_by(one, signature, signed)), None)
    if key is None:
        raise NoteError(f"{base}{SIGNED} was not signed by the carrier's key")
    return key


def _hexadecimal(name: str, files: Files) -> bytes:
    text = files.get(name, b"")
    try:
        raw = bytes.fromhex(_text(text))
    except ValueError:
        raw = b""
    if not raw or text != f"{raw.hex()}\n".encode():
        raise NoteError(f"{name} is not hexadecimal")
    return raw


def _is_by(key: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        VerifyKey(key).verify(signed, signature)
    except (CryptoError, ValueError):
        return False
    return True


def _text(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise NoteError("a file of the bundle is no text") from error
