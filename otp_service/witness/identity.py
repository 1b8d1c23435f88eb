"""The witness's own key: a file that only its user can read."""

import json
import os
import re
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

from ..domain.errors import ConfigError
from ..files import write_private
from ..transparency.notes import COSIGNATURE, NoteError, Signer, VerifierKey, b64, unb64

VERSION = 1
NAME = re.compile(r"[A-Za-z0-9._/-]{1,100}", re.ASCII)


def load_or_make(path: Path, name: str) -> Signer:
    """The witness of this file, which is made with this name if it is not there. Raises ConfigError."""
    try:
        if not path.exists():
            _make(path, name)
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by other users: chmod 600 {path}")
        return _read(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be used: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, NoteError, CryptoError) as error:
        raise ConfigError(f"{path} is no key of a witness; name another file, and it is made") from error


def _make(path: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError("--name: letters, digits and . _ / - only, as in witness.example/otp")
    secret = b64(os.urandom(32))
    write_private(path, json.dumps({"version": VERSION, "name": name, "secret": secret}, indent=2).encode() + b"\n")


def _read(raw: bytes) -> Signer:
    data = json.loads(raw)
    if data["version"] != VERSION or not NAME.fullmatch(data["name"]):
        raise ValueError("not of this version")
    secret = SigningKey(unb64(data["secret"]))
    key = VerifierKey(data["name"], bytes(secret.verify_key), COSIGNATURE)
    return Signer(key, lambda message: secret.sign(message).signature)
