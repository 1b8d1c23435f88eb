"""Cosignatures of witnesses, as C2SP tlog-cosignature has them: Ed25519 over the time and the checkpoint's text."""

from collections.abc import Sequence
from dataclasses import dataclass

from .checkpoints import read_checkpoint
from .notes import COSIGNATURE, SIGNATURE_BYTES, Note, NoteError, SignatureLine, Signer, VerifierKey

_TIME_BYTES = 8
_LATEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's statement that, at `at_s` (Unix seconds), this was the largest consistent tree that it had seen."""

    key: VerifierKey
    at_s: int


def cosign(text: str, signer: Signer, at_s: int) -> SignatureLine:
    """The line that a witness adds to a checkpoint of this text. Its key is of the kind `COSIGNATURE`."""
    if signer.key.kind != COSIGNATURE or not 0 < at_s <= _LATEST:
        raise ValueError("a cosignature has a key of its own kind and a time")
    signature = at_s.to_bytes(_TIME_BYTES) + signer.sign(_message(text, at_s))
    return SignatureLine(signer.key.name, signer.key.key_id, signature)


def cosignatures(note: Note, witnesses: list[VerifierKey]) -> list[Cosignature]:
    """Those of the known witnesses that the note has. Raises NoteError for one that is not good."""
    return [
        Cosignature(key, _verified(note.text, key, line))
        for key in witnesses
        for line in note.signatures
        if line.is_of(key)
    ]


def witness_key(text: str) -> VerifierKey:
    """The key of a witness as it is written down. Raises NoteError."""
    key = VerifierKey.parse(text)
    if key.kind != COSIGNATURE:
        raise NoteError("it is no key of a witness")
    return key


def cosigned_by(raw: str | bytes, witnesses: Sequence[VerifierKey] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of these witnesses, each of whom cosigned the checkpoint, and the other names beside its signatures.

    Anybody can write a line with any name: only a key shows whose it is. Raises NoteError where a cosignature of one of
    the witnesses is missing or not good.
    """
    note, checkpoint = read_checkpoint(raw)
    for key in witnesses:
        if not cosignatures(note, [key]):
            raise NoteError(f"there is no cosignature of {key.name}")
    known = {key.name for key in witnesses}
    others = {line.name for line in note.signatures} - known - {checkpoint.origin}
    return tuple(sorted(known)), tuple(sorted(others))


def _verified(text: str, key: VerifierKey, line: SignatureLine) -> int:
    at_s = int.from_bytes(line.signature[:_TIME_BYTES])
    good = key.kind == COSIGNATURE and len(line.signature) == _TIME_BYTES + SIGNATURE_BYTES and 0 < at_s <= _LATEST
    if not (good and key.verify(_message(text, at_s), line.signature[_TIME_BYTES:])):
        raise NoteError(f"a cosignature of {key.name} is not good")
    return at_s


def _message(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()
