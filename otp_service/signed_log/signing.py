"""Signing checkpoints: what is signed continues what was signed before, or nothing is signed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Connection

from ..domain.errors import ServiceError
from ..ledger.database import Database
from ..ledger.reading import size_in
from ..transparency.checkpoints import NEXT_KEY, Checkpoint, read_checkpoint, sign_checkpoint
from ..transparency.notes import Note, NoteError, Signer
from ..transparency.tree import Tree, leaf_hash
from .kept_checkpoint import KeptCheckpoint, kept_fault
from .ledger_rows import leaves_in
from .log_store import LogStore, SignedCheckpoint
from .stored_tiles import StoredTiles
from .told import ended_logs

AT_ONCE = 1_000
"""So many new records are signed without waiting, and at most so many in one transaction (times 20)."""

MOST = 20 * AT_ONCE
EVERY_MS = 10_000
"""Sooner is no checkpoint made while fewer records than `AT_ONCE` wait."""

Signers = Callable[[str], tuple[Signer, Sequence[Signer]]]
"""Who signs for a log of this origin: the one that signs now, and all that the keyring still has."""


class LogDamaged(ServiceError):
    """Nothing can be signed: the records or tiles are not those that were signed before."""

    code = "not_ready"


class LogSigner:
    """Signs the ledger's records. For one thread; several processes may sign, one after the other."""

    def __init__(
        self, database: Database, origin: str, signers: Signers, now_ms: Callable[[], int], kept: Path | None = None
    ) -> None:
        """`origin` names the log if it has no name yet. `kept`: the file that keeps the newest checkpoint."""
        self._database = database
        self._kept = KeptCheckpoint(kept)
        self._origin = origin
        self._signers = signers
        self._now_ms = now_ms

    def sign_if_due(self) -> list[str]:
        """The checkpoints that were signed now, oldest first. Raises LedgerUnavailable, LogDamaged."""
        signed: list[str] = []
        while self._is_due() and (new := self.sign()):
            signed += new
            self._kept.write(new[-1])
        if not signed:
            self._keep_newest()
        return signed

    def _keep_newest(self) -> None:
        """Keep what others signed, too: a worker on another machine, or who made evidence.

        With an older file this one would sign another history after the database was put back to a state in between.
        """
        if self._kept.path is None:
            return
        with self._database.reading() as connection:
            log = LogStore(connection)
            newest, origin = log.newest(), log.origin() or self._origin
        kept = self._kept.read()
        if newest is None or (kept is not None and (kept.origin != origin or kept.size >= newest.size)):
            return
        if self._is_ours(newest.note, origin):
            self._kept.write(newest.note)

    def _is_ours(self, raw: str, origin: str) -> bool:
        """Whether a key of this log signed it: whoever writes the database could write anything there."""
        try:
            note, checkpoint = read_checkpoint(raw)
            return checkpoint.origin == origin and any(note.signed_by(one.key) for one in self._signers(origin)[1])
        except NoteError:
            return False

    def _is_due(self) -> bool:
        with self._database.reading() as connection:
            newest, size = LogStore(connection).newest(), size_in(connection)
            if newest is None:
                return True
            new = size - newest.size
            waited = self._now_ms() - newest.at_ms >= EVERY_MS
            return new >= AT_ONCE or (waited and (new > 0 or self._key_changed(connection, newest)))

    def _key_changed(self, connection: Connection, newest: SignedCheckpoint) -> bool:
        active, _ = self._signers(LogStore(connection).origin() or self._origin)
        return not _signed_by(newest, active)

    def sign(self) -> list[str]:
        """Sign what is there now: the checkpoint, behind the last one of the key before if the key has changed.

        Empty if there is nothing new. Raises LedgerUnavailable, LogDamaged.
        """
        with self._database.writing() as connection:
            log, tiles = LogStore(connection), StoredTiles(connection)
            origin = self._named(log)
            newest = log.newest()
            signed_size = newest.size if newest else 0
            _require_same(Tree(tiles), newest)
            self._require_no_older(connection, origin, signed_size)
            size = min(size_in(connection), signed_size + MOST)
            if size < signed_size:
                raise LogDamaged(f"{signed_size} records were signed, and the ledger has {size}: it was cut")
            tiles.extend(signed_size, (leaf_hash(leaf) for leaf in leaves_in(connection, signed_size + 1, size)))
            return self._sign(log, Checkpoint(origin, size, Tree(tiles).root(size)), newest)

    def _require_no_older(self, connection: Connection, origin: str, signed_size: int) -> None:
        kept = self._kept.read()
        if kept is not None and kept.origin != origin and kept.origin in ended_logs(connection, self._signers):
            # Another machine began a new log, and told so in the ledger.
            self._put_aside(kept)
            return
        fault = kept_fault(kept, origin, signed_size)
        if fault is not None:
            raise LogDamaged(f"{fault}; see the guide on keeping the audit record")

    def _put_aside(self, kept: Checkpoint) -> None:
        try:
            self._kept.put_aside(kept)
        except OSError as error:
            raise LogDamaged(
                f"the checkpoint of {kept.origin}, which has ended, cannot be put aside: {error}"
            ) from error

    def _named(self, log: LogStore) -> str:
        origin = log.origin(locked=True)
        if origin is None:
            log.begin(self._origin, str(self._signers(self._origin)[0].key))
        return origin or self._origin

    def _sign(self, log: LogStore, checkpoint: Checkpoint, newest: SignedCheckpoint | None) -> list[str]:
        active, known = self._signers(checkpoint.origin)
        signed: list[tuple[Note, bool]] = []
        if newest is not None and not _signed_by(newest, active):
            signed.append((_last_of(newest, known, active, checkpoint), True))
        elif newest is not None and newest.size == checkpoint.size:
            return []
        signed.append((sign_checkpoint(checkpoint, active), False))
        for note, rotates in signed:
            log.add(note, checkpoint.size, self._now_ms(), rotates=rotates)
        return [str(note) for note, _ in signed]


def _require_same(tree: Tree, newest: SignedCheckpoint | None) -> None:
    """A new checkpoint over other hashes than before would make the log two logs."""
    try:
        if newest is not None and tree.root(newest.size) != newest.checkpoint.root:
            raise LogDamaged("the stored tiles are not those that were signed; see: otp-service audit verify")
    except (LookupError, ValueError) as error:
        raise LogDamaged("the stored tiles or the last checkpoint cannot be read") from error


def _signed_by(signed: SignedCheckpoint, signer: Signer) -> bool:
    try:
        lines = Note.parse(signed.note).signatures
    except NoteError as error:
        raise LogDamaged("the last checkpoint cannot be read") from error
    return any(line.is_of(signer.key) for line in lines)


def _last_of(newest: SignedCheckpoint, known: Sequence[Signer], active: Signer, checkpoint: Checkpoint) -> Note:
    """The old key's last checkpoint, which names the new key."""
    old = next((signer for signer in known if _signed_by(newest, signer)), None)
    if old is None:
        raise LogDamaged("the keyring lacks the key that signed the last checkpoint; bring the keyring that has it")
    naming = Checkpoint(checkpoint.origin, checkpoint.size, checkpoint.root, (f"{NEXT_KEY}{active.key}",))
    return sign_checkpoint(naming, old)
