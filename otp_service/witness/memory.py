"""What a witness remembers of a log: its first key, how its keys changed, and the checkpoint that was cosigned last."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ..domain.errors import ConfigError
from ..files import write_private
from ..transparency.checkpoints import Checkpoint, LogKeys, read_checkpoint
from ..transparency.notes import Note, NoteError, SignatureLine, VerifierKey


@dataclass(frozen=True, slots=True)
class Memory:
    """`first_key` is what everything else is judged by; `last` the note that was cosigned last, "" before the first."""

    first_key: str
    rotations: tuple[str, ...] = ()
    last: str = ""

    @property
    def keys(self) -> LogKeys:
        """The log's keys as the witness knows them. Raises NoteError."""
        return LogKeys(VerifierKey.parse(self.first_key), self.rotations)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What was cosigned last. Raises NoteError."""
        return read_checkpoint(self.last)[1] if self.last else None

    def followed(self, raw: str) -> Self:
        """With the change of keys that this checkpoint of the log tells, if it tells a new one. Raises NoteError."""
        note, checkpoint = read_checkpoint(raw)
        if checkpoint.next_key is None or any(read_checkpoint(one)[0].text == note.text for one in self.rotations):
            return self
        rotations = (*self.rotations, str(self._by_the_log(note)))
        LogKeys(VerifierKey.parse(self.first_key), rotations)  # it has to follow from the one before it
        return replace(self, rotations=rotations)

    def cosigned(self, raw: str, line: SignatureLine) -> Self:
        """With this checkpoint as the last that was cosigned. Raises NoteError."""
        return replace(self, last=str(self._by_the_log(read_checkpoint(raw)[0]).with_signature(line)))

    def _by_the_log(self, note: Note) -> Note:
        """Without the signatures of others: with very many of them nobody could read it again."""
        known = self.keys.keys
        return Note(note.text, tuple(line for line in note.signatures if any(line.is_of(key) for key in known)))


class MemoryFile:
    """The memory in a file, written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process works with the file: two would cosign two histories. Raises ConfigError."""
        descriptor = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise ConfigError(f"another witness works with {self.path}") from error
        finally:
            os.close(descriptor)

    def read(self) -> Memory | None:
        """None if there is no file yet. Raises ConfigError: a witness that forgot would cosign anything."""
        try:
            data = json.loads(self.path.read_bytes())
            memory = Memory(data["first_key"], tuple(data["rotations"]), data["last"])
            memory.keys, memory.checkpoint  # noqa: B018 - a file that cannot be read is found now
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, NoteError) as error:
            raise ConfigError(f"{self.path} cannot be read, and without it nothing is cosigned: {error}") from error
        return memory

    def write(self, memory: Memory) -> None:
        """Keep it. Raises ConfigError."""
        told = {"first_key": memory.first_key, "rotations": memory.rotations, "last": memory.last}
        try:
            write_private(self.path, json.dumps(told, indent=2).encode() + b"\n")
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}") from error
