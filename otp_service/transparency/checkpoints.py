"""Checkpoints as C2SP tlog-checkpoint has them, and whose signatures count at which size.

The key of a log changes so: the old key signs one last checkpoint, which names the new key in an extension line. From
its size on the new key signs. So times are sizes, and who trusts the first key can follow to the newest.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from .notes import Note, NoteError, Signer, VerifierKey, b64, signed, unb64
from .tree import HASH_BYTES

NEXT_KEY = "next-key "
"""Begins the extension line that names the next key."""

_SIZE = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)
SIZE_MAX = 2**63 - 1
"""More records has no log, and a database holds no greater number."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size and root of a log. `extensions` are further lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, b64(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text. Raises NoteError."""
        lines = text.split("\n")[:-1]
        if len(lines) < 3 or not all(lines) or not _is_size(lines[1]):
            raise NoteError("it is no checkpoint: an origin, a size and a root, each in a line")
        root = unb64(lines[2])
        if len(root) != HASH_BYTES:
            raise NoteError("the root of a checkpoint has 32 bytes")
        return cls(lines[0], int(lines[1]), root, tuple(lines[3:]))

    @property
    def next_key(self) -> VerifierKey | None:
        """The key that signs from this size on, if this is the old key's last checkpoint. Raises NoteError."""
        named = [line.removeprefix(NEXT_KEY) for line in self.extensions if line.startswith(NEXT_KEY)]
        return VerifierKey.parse(named[0]) if named else None


def _is_size(text: str) -> bool:
    return _SIZE.fullmatch(text) is not None and int(text) <= SIZE_MAX


def read_checkpoint(raw: str | bytes) -> tuple[Note, Checkpoint]:
    """A signed checkpoint; its signatures are judged by nobody yet. Raises NoteError."""
    note = Note.parse(raw)
    return note, Checkpoint.parse(note.text)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> Note:
    """The checkpoint, signed."""
    return signed(checkpoint.text, signer)


class SignatureRefused(NoteError):
    """No key that counts signed the checkpoint. `kind`: `foreign_signature`, `key_too_early` or `key_too_late`."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class _Term:
    """A key and the sizes that it signs: `until` included, because that is where it names the next one."""

    key: VerifierKey
    since: int
    until: int | None = None


class LogKeys:
    """The keys of one log, from the first that is trusted, and the sizes that each of them signs."""

    def __init__(self, first: VerifierKey, rotations: Iterable[str | bytes] = ()) -> None:
        """`rotations`: the last checkpoints of old keys, oldest first. Those of before `first` are passed over.

        The last of them may name `first`: then that is where its time begins. Raises NoteError where one does not
        follow from the one before it.
        """
        self._terms = [_Term(first, 0)]
        self.origin = first.name
        for raw in rotations:
            self._follow(*read_checkpoint(raw))

    @property
    def keys(self) -> Sequence[VerifierKey]:
        """All keys, oldest first."""
        return [term.key for term in self._terms]

    @property
    def newest(self) -> VerifierKey:
        """The key that signs now."""
        return self._terms[-1].key

    @property
    def since(self) -> int:
        """The size from which on the first of the keys signs: what was signed before it proves nothing here."""
        return self._terms[0].since

    def _follow(self, note: Note, checkpoint: Checkpoint) -> None:
        last, new = self._terms[-1], checkpoint.next_key
        if new is None:
            raise NoteError("a change of keys names no next key")
        if not note.signed_by(last.key):
            if len(self._terms) == 1:  # of before the key that is trusted
                self._terms = [_Term(last.key, checkpoint.size if new == last.key else last.since)]
                return
            raise NoteError("a change of keys was not signed by the key before it")
        if checkpoint.size < last.since or checkpoint.origin != self.origin or new.name != self.origin:
            raise NoteError("a change of keys does not follow from the one before it")
        self._terms[-1:] = [_Term(last.key, last.since, checkpoint.size), _Term(new, checkpoint.size)]

    def verify(self, raw: str | bytes) -> Checkpoint:
        """The checkpoint, if a key that counts at its size signed it. Raises NoteError, SignatureRefused."""
        note, checkpoint = read_checkpoint(raw)
        if checkpoint.origin != self.origin:
            raise SignatureRefused("foreign_signature", f"it is a checkpoint of another log: {checkpoint.origin}")
        signing = [term for term in self._terms if self._signed(note, term.key)]
        if not signing:
            raise SignatureRefused("foreign_signature", "no key of the log signed the checkpoint")
        if any(term.since <= checkpoint.size and checkpoint.size <= _end(term) for term in signing):
            return checkpoint
        early = all(checkpoint.size < term.since for term in signing)
        kind, word = ("key_too_early", "before") if early else ("key_too_late", "after")
        raise SignatureRefused(kind, f"it was signed by a key {word} its time")

    @staticmethod
    def _signed(note: Note, key: VerifierKey) -> bool:
        try:
            return note.signed_by(key)
        except NoteError as error:
            raise SignatureRefused("foreign_signature", str(error)) from error


def _end(term: _Term) -> float:
    return float("inf") if term.until is None else term.until
