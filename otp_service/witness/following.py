"""One round of a witness: fetch the newest checkpoint, prove that it continues the last one, remember it, cosign it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from ..domain.errors import ConfigError
from ..transparency.checkpoints import Checkpoint, LogKeys, SignatureRefused, read_checkpoint
from ..transparency.notes import NoteError, SignatureLine, Signer, VerifierKey
from ..transparency.tiles import TiledHashes
from ..transparency.tree import Tree
from ..transparency.witnessing import Submission, Witness, WitnessRefusal
from .memory import Memory, MemoryFile


class Log(Protocol):
    """The log, wherever it is. Each method raises ServiceError if it cannot be reached."""

    def checkpoint(self) -> str | None:
        """The newest checkpoint; None while nothing was signed."""
        ...

    def keys(self) -> tuple[str | None, list[str]]:
        """The first key, which nothing vouches for, and the last checkpoints of old keys."""
        ...

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile."""
        ...

    def hand_in(self, key: str, note: str) -> bool:
        """Give the log a cosigned checkpoint; whether it took it."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """What a round came to. `note`: the cosigned checkpoint; `handed_in`: whether the log took it."""

    size: int
    note: str
    handed_in: bool


class Follower:
    """Follows one log. For one thread, with the memory locked."""

    def __init__(self, log: Log, signer: Signer, memory: MemoryFile, now_s: Callable[[], int]) -> None:
        self._log = log
        self._signer = signer
        self._file = memory
        self._witness = Witness(signer, now_s)

    def begin(self, first_key: str | None) -> Memory:
        """What is remembered. At the first time this key, or what the log says that its key is.

        Raises ConfigError, LogUnreachable.
        """
        return begin(self._file, first_key, lambda: self._log.keys()[0])

    def round(self) -> Round | None:
        """Cosign the newest checkpoint; None if there is nothing new.

        Raises LogUnreachable, and WitnessRefusal if the log is not what it was.
        """
        raw = self._log.checkpoint()
        if raw is None:
            return None
        memory = self._with_its_key(self.begin(None), raw)
        if memory.last and self._is_known(memory, raw):
            return None
        checkpoint, line = self._judge(memory, raw)
        cosigned = memory.cosigned(raw, line)
        # Before anybody is told: a witness that forgot what it cosigned could cosign the opposite.
        self._file.write(cosigned)
        return Round(checkpoint.size, cosigned.last, self._log.hand_in(str(self._signer.key), cosigned.last))

    def _is_known(self, memory: Memory, raw: str) -> bool:
        """Whether this is what was cosigned last, and the log has the cosignature."""
        try:
            note, checkpoint = read_checkpoint(raw)
        except NoteError as error:
            raise WitnessRefusal(400, str(error)) from error
        return checkpoint == memory.checkpoint and any(line.is_of(self._signer.key) for line in note.signatures)

    def _with_its_key(self, memory: Memory, raw: str) -> Memory:
        """Follow a change of keys, if the checkpoint is signed by one that is not known yet."""
        try:
            memory.keys.verify(raw)
        except SignatureRefused:
            told = replace(memory, rotations=tuple(self._log.keys()[1]))
            try:
                told.keys.verify(raw)
            except NoteError:
                return memory  # it is judged by what is known, and refused
            return told
        except NoteError:
            pass
        return memory

    def _judge(self, memory: Memory, raw: str) -> tuple[Checkpoint, SignatureLine]:
        keys, last = memory.keys, memory.checkpoint
        size = _size(raw, keys)
        old = last.size if last else 0
        path: list[bytes] = []
        if 0 < old < size:
            try:
                path = Tree(TiledHashes(size, self._log.tile)).consistency(old, size)
            except (ValueError, LookupError) as error:
                raise WitnessRefusal(422, "the tiles of the log are not those of a tree of its size") from error
        if size < old:
            raise WitnessRefusal(409, f"the log had {old} records, and now shows {size}: it was rolled back", old)
        return self._witness.judge(Submission(old, tuple(path), raw), keys, last)


def begin(file: MemoryFile, first_key: str | None, told: Callable[[], str | None] = lambda: None) -> Memory:
    """What is remembered. At the first time this key, or what the log says that its key is (`told`).

    Raises ConfigError, and what `told` raises.
    """
    known = file.read()
    if known is None:
        known = Memory(_parsed(first_key or told()))
        file.write(known)
    elif first_key is not None and _parsed(first_key) != known.first_key:
        raise ConfigError(f"{file.path} is of a log with another key: {known.first_key}")
    return known


def _size(raw: str, keys: LogKeys) -> int:
    """The size of the checkpoint, if the log signed it."""
    try:
        return keys.verify(raw).size
    except SignatureRefused as error:
        raise WitnessRefusal(403, str(error)) from error
    except NoteError as error:
        raise WitnessRefusal(400, str(error)) from error


def _parsed(key: str | None) -> str:
    if key is None:
        raise ConfigError("the log's key is not known: it has signed nothing yet, or nobody asks it; give --log-key")
    try:
        return str(VerifierKey.parse(key))
    except NoteError as error:
        raise ConfigError(f"the log's key: {error}") from error
