"""A timestamp in a bundle: of an earlier checkpoint (or this one) by somebody else, and that the log continues it.

Three files: the checkpoint as it was stamped, the answer of the timestamping authority (RFC 3161, DER) over its bytes,
and the consistency proof (RFC 9162, 2.1.4) from it to the bundle's checkpoint, a hash in base64 a line. That the answer
is good is for `openssl ts -verify` to say.
"""

from collections.abc import Mapping, Sequence

from .checkpoints import Checkpoint, read_checkpoint
from .notes import NoteError, b64, unb64
from .verifying import verify_consistency

STAMPED, RESPONSE, PATH = "timestamp.checkpoint", "timestamp.tsr", "timestamp.proof"
_MOST_HASHES = 64

Files = Mapping[str, bytes]


def timestamp_files(note: str, response: bytes, path: Sequence[bytes]) -> dict[str, bytes]:
    """The files."""
    return {
        STAMPED: note.encode(),
        RESPONSE: response,
        PATH: "".join(f"{b64(one)}\n" for one in path).encode(),
    }


def stamped_size(files: Files, checkpoint: Checkpoint) -> int | None:
    """How many records were there at the time of the timestamp; None if there is none.

    Raises NoteError where the bundle's checkpoint does not continue what was stamped.
    """
    there = [name in files for name in (STAMPED, RESPONSE, PATH)]
    if not any(there):
        return None
    if not all(there):
        raise NoteError("a file of the timestamp is missing")
    old = read_checkpoint(files[STAMPED])[1]
    path = _path(files[PATH])
    same = old.origin == checkpoint.origin and old.size > 0
    if not (same and verify_consistency(old.size, checkpoint.size, old.root, checkpoint.root, path)):
        raise NoteError(f"the log does not continue the checkpoint of {STAMPED}")
    return old.size


def _path(raw: bytes) -> list[bytes]:
    try:
        lines = raw.decode().split("\n")
    except UnicodeDecodeError as error:
        raise NoteError(f"{PATH} is no text") from error
    if lines.pop() or len(lines) > _MOST_HASHES:
        raise NoteError(f"{PATH} is not a hash a line")
    return [unb64(line) for line in lines]
