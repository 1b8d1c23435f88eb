"""What a witness does with a checkpoint, as C2SP tlog-witness has it: cosign what continues what it cosigned before.

A witness that keeps to this makes a log unable to show two histories: of two checkpoints that contradict each other it
cosigns one at most. What it remembers of a log is the last checkpoint that it cosigned.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from .checkpoints import Checkpoint, LogKeys, SignatureRefused, read_checkpoint
from .cosignatures import cosign
from .notes import NOTE_MAX, NoteError, SignatureLine, Signer, b64, unb64
from .tree import EMPTY_ROOT, HASH_BYTES
from .verifying import verify_consistency

_OLD = re.compile("old (0|[1-9][0-9]{0,18})", re.ASCII)
_MOST_HASHES = 63


class WitnessRefusal(Exception):
    """The witness does not cosign. `status` as the protocol has it, `size` that of its last checkpoint (with 409)."""

    def __init__(self, status: int, sentence: str, size: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.size = size


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint for a witness, and the proof that it continues the one of size `old`."""

    old: int
    path: tuple[bytes, ...]
    checkpoint: str

    def __str__(self) -> str:
        return f"old {self.old}\n" + "".join(f"{b64(one)}\n" for one in self.path) + f"\n{self.checkpoint}"

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the body of add-checkpoint. Raises WitnessRefusal (400)."""
        try:
            head, blank, checkpoint = raw.decode().partition("\n\n")
            lines = head.split("\n")
            found = _OLD.fullmatch(lines[0])
            path = tuple(map(unb64, lines[1:]))
        except (UnicodeDecodeError, NoteError):
            found = None
        if found is None or not blank or len(raw) > NOTE_MAX or not _is_path(path):
            raise WitnessRefusal(400, "the body is: old SIZE, hashes, an empty line, a checkpoint")
        return cls(int(found[1]), path, checkpoint)


def _is_path(path: Sequence[bytes]) -> bool:
    return len(path) <= _MOST_HASHES and all(len(one) == HASH_BYTES for one in path)


class Witness:
    """Judges checkpoints of one log. `signer` has a key of the kind `COSIGNATURE`; `now_s` gives Unix seconds."""

    def __init__(self, signer: Signer, now_s: Callable[[], int]) -> None:
        self._signer = signer
        self._now_s = now_s

    def judge(self, submission: Submission, keys: LogKeys, last: Checkpoint | None) -> tuple[Checkpoint, SignatureLine]:
        """The checkpoint to remember, before anybody is told, and its cosignature. Raises WitnessRefusal.

        `last` is what was cosigned last; nobody else may change that meanwhile.
        """
        checkpoint = _verified(submission.checkpoint, keys)
        known = Checkpoint(keys.origin, 0, EMPTY_ROOT) if last is None else last
        if submission.old > checkpoint.size:
            raise WitnessRefusal(400, "the old size is larger than that of the checkpoint")
        if submission.old != known.size:
            raise WitnessRefusal(409, f"the last checkpoint that was cosigned has the size {known.size}", known.size)
        if checkpoint.size == known.size and checkpoint.root != known.root:
            raise WitnessRefusal(409, f"another root was cosigned for {known.size} records", known.size)
        if not _continues(checkpoint, known, submission.path):
            raise WitnessRefusal(422, "the checkpoint does not continue the one that was cosigned last")
        return checkpoint, cosign(checkpoint.text, self._signer, self._now_s())


def _verified(raw: str, keys: LogKeys) -> Checkpoint:
    try:
        if read_checkpoint(raw)[1].origin != keys.origin:
            raise WitnessRefusal(404, "the log is not known here")
        return keys.verify(raw)
    except SignatureRefused as error:
        raise WitnessRefusal(403, str(error)) from error
    except NoteError as error:
        raise WitnessRefusal(400, str(error)) from error


def _continues(checkpoint: Checkpoint, known: Checkpoint, path: Sequence[bytes]) -> bool:
    return verify_consistency(known.size, checkpoint.size, known.root, checkpoint.root, path)
