"""Proofs that a record is in a log, as files of the form of C2SP tlog-proof."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from .checkpoints import Checkpoint, LogKeys
from .notes import NoteError, b64, unb64
from .tree import HASH_BYTES, leaf_hash
from .verifying import verify_inclusion

FIRST_LINE = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile("index (0|[1-9][0-9]{0,18})", re.ASCII)
_EXTRA = "extra "
_MOST_HASHES = 63
PROOF_MAX = 256 * 1024


class ProofError(NoteError):
    """The proof is not good; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The record number `index` (from 0), its way to the root, and the signed checkpoint with that root.

    `extra`: the record itself, where the proof brings it along.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = [] if self.extra is None else [f"extra {b64(self.extra)}"]
        lines = [FIRST_LINE, *extra, f"index {self.index}", *map(b64, self.path)]
        return "".join(f"{line}\n" for line in lines) + f"\n{self.checkpoint}"

    @classmethod
    def parse(cls, raw: str | bytes) -> Self:
        """Read a proof. Raises ProofError, NoteError."""
        try:
            text = raw.decode() if isinstance(raw, bytes) else raw
        except UnicodeDecodeError as error:
            raise ProofError("a proof is UTF-8") from error
        head, blank, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        extra = unb64(lines.pop(0).removeprefix(_EXTRA)) if lines and lines[0].startswith(_EXTRA) else None
        found = _INDEX.fullmatch(lines[0]) if lines else None
        if not blank or first != FIRST_LINE or found is None or len(text) > PROOF_MAX:
            raise ProofError("it is no proof of a log: tlog-proof@v1, an index, hashes, a checkpoint")
        return cls(int(found[1]), _hashes(lines[1:]), checkpoint, extra)

    def verify(self, leaf: bytes, keys: LogKeys) -> Checkpoint:
        """The checkpoint that has this record. Raises ProofError, NoteError."""
        checkpoint = keys.verify(self.checkpoint)
        if self.extra is not None and self.extra != leaf:
            raise ProofError("the proof brings another record along")
        if not verify_inclusion(leaf_hash(leaf), self.index, checkpoint.size, self.path, checkpoint.root):
            raise ProofError("the record is not the one that the log has there")
        return checkpoint


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(map(unb64, lines))
    if len(hashes) > _MOST_HASHES or any(len(one) != HASH_BYTES for one in hashes):
        raise ProofError("the hashes of the proof cannot be read")
    return hashes
