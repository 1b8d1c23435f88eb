"""Signed notes and verifier keys, as C2SP signed-note has them, with Ed25519.

A note is a text and the signatures of those who vouch for it. A verifier key names its holder: `name+id+key`.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

ED25519 = 0x01
COSIGNATURE = 0x04
"""A timestamped Ed25519 cosignature (C2SP tlog-cosignature)."""

SIGNATURE_BYTES = 64
_KEY_BYTES = 32
_ID_BYTES = 4
_NAME = re.compile(r"[^\s+\x00-\x20]{1,255}")
_LINE = re.compile(r"— (\S+) (\S+)")
NOTE_MAX = 64 * 1024
SIGNATURES_MAX = 64


class NoteError(ValueError):
    """It is no note, no verifier key or no signature of this form; the sentence says what is wrong."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public Ed25519 key with its holder's name. `kind` is `ED25519` or `COSIGNATURE`."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """Four bytes that name the key beside its holder's name."""
        return sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    @property
    def fingerprint(self) -> str:
        """What people compare: SHA-256 of the verifier key, in hex."""
        return sha256(str(self).encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read `name+id+key`; the key itself may hold a plus sign. Raises NoteError."""
        name, plus, rest = text.strip().partition("+")
        key_id, second, encoded = rest.partition("+")
        if not (plus and second and _NAME.fullmatch(name)):
            raise NoteError("a verifier key has three parts: NAME+ID+KEY")
        raw = unb64(encoded)
        if len(raw) != 1 + _KEY_BYTES or raw[0] not in (ED25519, COSIGNATURE):
            raise NoteError("the verifier key is no Ed25519 key")
        key = cls(name, raw[1:], raw[0])
        if key_id != key.key_id.hex():
            raise NoteError("the parts of the verifier key do not belong together")
        return key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the key's holder made this Ed25519 signature of the message."""
        try:
            VerifyKey(self.public).verify(message, signature)
        except (CryptoError, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: the verifier key, and what makes an Ed25519 signature (64 bytes) with the secret half."""

    key: VerifierKey
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """A line of a note: a name, the id of a key and that key's signature."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {b64(self.key_id + self.signature)}\n"

    @classmethod
    def parse(cls, line: str) -> "SignatureLine":
        """Read one line without its end. Raises NoteError."""
        found = _LINE.fullmatch(line)
        if found is None or not _NAME.fullmatch(found[1]):
            raise NoteError("a signature line of the note cannot be read")
        raw = unb64(found[2])
        if len(raw) <= _ID_BYTES:
            raise NoteError("a signature of the note is empty")
        return cls(found[1], raw[:_ID_BYTES], raw[_ID_BYTES:])

    def is_of(self, key: VerifierKey) -> bool:
        """Whether it says that this key made it."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    @classmethod
    def parse(cls, raw: str | bytes) -> "Note":
        """Read a note. Raises NoteError."""
        whole = _decoded(raw)
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not text or not lines.endswith("\n"):
            raise NoteError("a note is a text, an empty line and signatures")
        signatures = tuple(SignatureLine.parse(line) for line in lines[:-1].split("\n"))
        if len(signatures) > SIGNATURES_MAX:
            raise NoteError("the note has too many signatures")
        return cls(text + "\n", signatures)

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether the key signed the text. Raises NoteError for a signature of this name and id that is not good."""
        lines = [line for line in self.signatures if line.is_of(key)]
        if any(not key.verify(self.text.encode(), line.signature) for line in lines):
            raise NoteError(f"a signature of {key.name} is not good")
        return bool(lines)

    def with_signature(self, *lines: SignatureLine) -> "Note":
        """The same note with further signatures."""
        return Note(self.text, (*self.signatures, *lines))


def signed(text: str, signer: Signer) -> Note:
    """A note of this text, signed."""
    line = SignatureLine(signer.key.name, signer.key.key_id, signer.sign(text.encode()))
    return Note(text, (line,))


def b64(raw: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes:
    """Undo `b64`. Raises NoteError, for another spelling of the same bytes too."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("it is not base64") from error
    if b64(raw) != text:
        raise NoteError("it is not the usual base64 of its bytes")
    return raw


def _decoded(raw: str | bytes) -> str:
    if len(raw) > NOTE_MAX:
        raise NoteError("the note is too long")
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError as error:
        raise NoteError("a note is UTF-8") from error
    if any(ord(sign) < 0x20 and sign != "\n" for sign in text):
        raise NoteError("a note has no control characters")
    return text
