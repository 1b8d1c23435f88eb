"""Cosignatures of witnesses, as C2SP tlog-cosignature has them: Ed25519 over the time and the checkpoint's text."""

from dataclasses import dataclass

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


def _verified(text: str, key: VerifierKey, line: SignatureLine) -> int:
    at_s = int.from_bytes(line.signature[:_TIME_BYTES])
    good = key.kind == COSIGNATURE and len(line.signature) == _TIME_BYTES + SIGNATURE_BYTES and 0 < at_s <= _LATEST
    if not (good and key.verify(_message(text, at_s), line.signature[_TIME_BYTES:])):
        raise NoteError(f"a cosignature of {key.name} is not good")
    return at_s


def _message(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()
