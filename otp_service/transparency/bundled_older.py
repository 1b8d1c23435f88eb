"""An older checkpoint in a bundle, with the proof that the log continues it: one that was stamped, or that was kept.

A proof is that of RFC 9162 (2.1.4) from the older checkpoint to the bundle's, a hash in base64 a line.
"""

from collections.abc import Mapping, Sequence

from .checkpoints import Checkpoint, read_checkpoint
from .notes import NoteError, b64, unb64
from .verifying import verify_consistency

STAMPED, STAMPED_PATH, RESPONSE = "timestamp.checkpoint", "timestamp.proof", "timestamp.tsr"
KEPT, KEPT_PATH = "kept.checkpoint", "kept.proof"
_MOST_HASHES = 64

Files = Mapping[str, bytes]


def timestamp_files(note: str, response: bytes, path: Sequence[bytes]) -> dict[str, bytes]:
    """The checkpoint as it was stamped, and what the timestamping authority said of its bytes (RFC 3161, DER)."""
    return {STAMPED: note.encode(), RESPONSE: response, STAMPED_PATH: _lines(path)}


def kept_files(note: str, path: Sequence[bytes]) -> dict[str, bytes]:
    """A checkpoint that who asks had kept."""
    return {KEPT: note.encode(), KEPT_PATH: _lines(path)}


def stamped_size(files: Files, checkpoint: Checkpoint) -> int | None:
    """How many records were there at the time of the timestamp; None if there is none.

    That the timestamp itself is good is for `openssl ts -verify` to say. Raises NoteError.
    """
    older = _older(files, (STAMPED, RESPONSE, STAMPED_PATH), checkpoint)
    return None if older is None else older.size


def kept_size(files: Files, checkpoint: Checkpoint, kept: Checkpoint | None) -> int | None:
    """Of how many records the older checkpoint is that the log continues; None if there is none.

    `kept`: what it has to be, as who verifies kept it. Raises NoteError.
    """
    older = _older(files, (KEPT, KEPT_PATH), checkpoint)
    if kept is not None and older is None:
        raise NoteError("the bundle does not say that the log continues the checkpoint that you kept")
    if kept is not None and older != kept:
        raise NoteError(f"{KEPT} is not the checkpoint that you kept")
    return None if older is None else older.size


def _older(files: Files, names: tuple[str, ...], checkpoint: Checkpoint) -> Checkpoint | None:
    """The first of these files, if the log continues it; the last one is the proof. None if none is there."""
    there = [name in files for name in names]
    if not any(there):
        return None
    if not all(there):
        raise NoteError(f"a file beside {names[0]} is missing")
    older = read_checkpoint(files[names[0]])[1]
    path = _path(files[names[-1]], names[-1])
    same = older.origin == checkpoint.origin and older.size > 0
    if not (same and verify_consistency(older.size, checkpoint.size, older.root, checkpoint.root, path)):
        raise NoteError(f"the log does not continue {names[0]}")
    return older


def _lines(path: Sequence[bytes]) -> bytes:
    return "".join(f"{b64(one)}\n" for one in path).encode()


def _path(raw: bytes, name: str) -> list[bytes]:
    try:
        lines = raw.decode().split("\n")
    except UnicodeDecodeError as error:
        raise NoteError(f"{name} is no text") from error
    if lines.pop() or len(lines) > _MOST_HASHES:
        raise NoteError(f"{name} is not a hash a line")
    return [unb64(line) for line in lines]
