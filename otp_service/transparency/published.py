"""Verifying a log as it is published: its checkpoint, its keys, its tiles of hashes and of records, and no database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .checkpoints import Checkpoint, LogKeys, SignatureRefused
from .cosignatures import cosigned_by
from .findings import Finding, Tampering, forked, rolled_back
from .notes import NoteError, VerifierKey
from .ranges import inspect_range
from .signed_tiles import SignedTiles, TileRefused
from .tiles import TiledHashes, entries_of
from .tree import Tree
from .verifying import verify_consistency


class Published(Protocol):
    """A log as anybody can read it: over HTTP, or in a directory. Each method may raise ServiceError."""

    def checkpoint(self) -> str | None:
        """The newest checkpoint; None while nothing was signed."""
        ...

    def keys(self) -> tuple[str | None, list[str]]:
        """The first key, which nothing vouches for, and the last checkpoints of old keys."""
        ...

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile of hashes."""
        ...

    def entries(self, number: int, width: int) -> bytes:
        """A tile of records."""
        ...


@dataclass(frozen=True, slots=True)
class PublishedReport:
    """What was verified: the records `first` to `last` of `size`, under `key`, and the first thing that is wrong.

    `cosigned_by`: the witnesses whose keys were given, each of which cosigned.
    """

    first: int
    last: int
    size: int
    key: VerifierKey
    finding: Finding | None
    cosigned_by: tuple[str, ...] = ()


class NothingToVerify(NoteError):
    """The log has no checkpoint, no key, or not the records that were asked for."""


def verify_published(
    log: Published,
    trusted: VerifierKey | None,
    span: tuple[int, int | None],
    older: Sequence[Checkpoint] = (),
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    *,
    witnesses: Sequence[VerifierKey] = (),
) -> PublishedReport:
    """Verify the records of `span` (numbers from 1, both included; None for the newest) and that the log continues the
    checkpoints `older`, which somebody kept elsewhere.

    `trusted`: the log's key as it was learnt elsewhere; without it the key is what the log says. `witnesses`: keys of
    those who have to have cosigned its checkpoint. Raises NoteError where there is nothing to verify, a cosignature is
    missing or the keys do not follow from one another, and what `log` raises.
    """
    raw = log.checkpoint()
    if raw is None:
        raise NothingToVerify("the log has no checkpoint")
    told, rotations = log.keys()
    if trusted is None and told is None:
        raise NothingToVerify("the log does not say its key; give it with --key")
    key = trusted or VerifierKey.parse(told or "")
    try:
        checkpoint = LogKeys(key, rotations).verify(raw)
    except SignatureRefused as error:
        return PublishedReport(0, 0, 0, key, Finding(Tampering(error.kind), None, str(error)))
    asked = within(span, checkpoint.size)
    cosigned = _cosigned(raw, witnesses)
    finding = _continues(log, checkpoint, older) or _under(log, checkpoint, asked, progress)
    return PublishedReport(*asked, checkpoint.size, key, finding, cosigned)


def _cosigned(raw: str, witnesses: Sequence[VerifierKey]) -> tuple[str, ...]:
    try:
        return cosigned_by(raw, witnesses)[0]
    except NoteError as error:
        raise NothingToVerify(str(error)) from error


def _under(
    log: Published, checkpoint: Checkpoint, asked: tuple[int, int], progress: Callable[[int, int], object]
) -> Finding | None:
    def read(number: int, width: int) -> list[bytes]:
        return entries_of(log.entries(number, width))[:width]

    try:
        return inspect_range(read, SignedTiles(checkpoint, log.tile), *asked, progress)
    except TileRefused as error:
        return Finding(Tampering.EDITED, None, str(error))


def within(span: tuple[int, int | None], size: int) -> tuple[int, int]:
    """The first and last number of a range in a log of this size. Raises NothingToVerify."""
    first, last = span[0], size if span[1] is None else span[1]
    if not (1 <= first <= last <= size or (size == 0 and span == (1, None))):
        raise NothingToVerify(f"the log has {size} signed records, and not those from {first} to {last}")
    return first, last


def _continues(log: Published, checkpoint: Checkpoint, older: Sequence[Checkpoint]) -> Finding | None:
    tree = Tree(TiledHashes(checkpoint.size, log.tile))
    try:
        found = (_judged(one, checkpoint, tree) for one in older)
        return next((one for one in found if one is not None), None)
    except (LookupError, ValueError) as error:
        return Finding(Tampering.UNREADABLE, None, f"the tiles of the log cannot be read: {error}")


def _judged(older: Checkpoint, checkpoint: Checkpoint, tree: Tree) -> Finding | None:
    """By a proof and not by the tiles alone: a server can make up tiles for each question."""
    if older.size > checkpoint.size:
        return rolled_back(older.size, checkpoint.size)
    path = tree.consistency(older.size, checkpoint.size)
    if verify_consistency(older.size, checkpoint.size, older.root, checkpoint.root, path):
        return None
    return forked(older.size)
