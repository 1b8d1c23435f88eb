"""Reading the signed log: the published checkpoint, tiles, entries and proofs. Each call sees one moment."""

import re

from sqlalchemy import Connection, select

from ..ledger.database import Database
from ..ledger.tables import RECORDS
from ..transparency.checkpoints import read_checkpoint
from ..transparency.cosignatures import cosignatures
from ..transparency.notes import NoteError, SignatureLine, VerifierKey
from ..transparency.proofs import Proof
from ..transparency.tiles import entry_bundle, width_in
from ..transparency.tree import HASH_BYTES, TILE_WIDTH, Tree
from .ledger_rows import leaves_in
from .log_store import LogStore, SignedCheckpoint
from .stored_tiles import StoredTiles

WITNESSES_MAX = 16
"""So many cosignatures every reader of signed notes accepts."""

UNREADABLE = (ValueError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError)
"""What a record or a configuration may raise that somebody edited, beside KeyError."""

_NUMBER = re.compile("[1-9][0-9]{0,17}", re.ASCII)
_POSITION = re.compile("([0-9a-f]{2,4})-([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


class LogReader:
    """What is published of the log. Each method raises LedgerUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def checkpoint(self) -> str | None:
        """The newest checkpoint with its cosignatures; None while there is none."""
        with self._database.reading() as connection:
            log = LogStore(connection)
            newest = log.newest()
            return log.published(newest) if newest else None

    def keys(self) -> tuple[str | None, list[str]]:
        """The verifier key that signed first, and the last checkpoints of old keys, each of which names the next key.

        Whoever believes the first key because of this has learnt it from who is to be judged.
        """
        with self._database.reading() as connection:
            log = LogStore(connection)
            return log.first_key(), list(log.rotations())

    def take_cosignature(self, key: str, raw: str, now_ms: int) -> bool | None:
        """Keep what a witness says of a checkpoint; whether the witness is new. None if there is no such checkpoint.

        Raises NoteError if it is not good, or if there are witnesses enough.
        """
        witness, (note, checkpoint) = VerifierKey.parse(key), read_checkpoint(raw)
        if witness.name == checkpoint.origin:
            raise NoteError("a witness has a name of its own, not that of the log")
        if not cosignatures(note, [witness]):
            raise NoteError("the checkpoint has no cosignature of this key")
        line = next(line for line in note.signatures if line.is_of(witness))
        with self._database.writing() as connection:
            log = LogStore(connection)
            if checkpoint.origin != log.origin(locked=True):
                return None
            signed = log.of_text(checkpoint.size, checkpoint.text)
            return None if signed is None else _take(log, signed, str(witness), line, now_ms)

    def tile(self, level: int, number: int, width: int) -> bytes | None:
        """The tile, as wide as asked for; None if no checkpoint needs it."""
        with self._database.reading() as connection:
            if not 0 < width <= width_in(_signed_size(connection), level, number):
                return None
            return StoredTiles(connection).tile(level, number)[: width * HASH_BYTES]

    def entries(self, number: int, width: int) -> bytes | None:
        """The records of the tile on level 0; None if no checkpoint needs them, or if one is too long for a tile."""
        with self._database.reading() as connection:
            if not 0 < width <= width_in(_signed_size(connection), 0, number):
                return None
            first = number * TILE_WIDTH + 1
            try:
                return entry_bundle(leaves_in(connection, first, first + width - 1))
            except ValueError:  # only of a ledger from before records had a bound
                return None

    def proof(self, name: str, app: str | None) -> str | None:
        """The proof of a record, with the record: named by its number, or as the API names an event.

        None if there is no such record of this app (None: of any), or if it is not signed yet.
        """
        with self._database.reading() as connection:
            found = find_record(connection, name, app)
            return None if found is None else _proof(connection, *found)


def _take(log: LogStore, signed: SignedCheckpoint, witness: str, line: SignatureLine, now_ms: int) -> bool:
    """Keep the line; whether the witness is new. `witness` is its key in the one spelling that it has."""
    known = [one.key for one in log.witnesses()]
    if witness not in known and len(known) >= WITNESSES_MAX:
        raise NoteError(f"the log has {WITNESSES_MAX} witnesses, and takes no more: otp-service witness remove")
    log.add_cosignature(signed.id, witness, line, now_ms)
    return witness not in known


def prove(connection: Connection, seq: int, signed: SignedCheckpoint) -> Proof:
    """The proof of the record with this number in this checkpoint."""
    path = Tree(StoredTiles(connection)).inclusion(seq - 1, signed.size)
    return Proof(seq - 1, tuple(path), LogStore(connection).published(signed))


def for_proofs(log: LogStore, seq: int) -> SignedCheckpoint | None:
    """The newest checkpoint that a witness cosigned, if it has the record; else the newest that has it."""
    for signed in (log.newest_cosigned(), log.newest()):
        if signed is not None and seq <= signed.size:
            return signed
    return None


def _proof(connection: Connection, seq: int, leaf: bytes) -> str | None:
    signed = for_proofs(LogStore(connection), seq)
    if signed is None:
        return None
    proof = prove(connection, seq, signed)
    return str(Proof(proof.index, proof.path, proof.checkpoint, leaf))


def find_record(connection: Connection, name: str, app: str | None) -> tuple[int, bytes] | None:
    """Number and bytes of a record of this app (None: of any), named by its number or as the API names an event."""
    wanted = select(RECORDS.c.seq, RECORDS.c.leaf)
    position = _POSITION.fullmatch(name)
    if position is not None:
        shard, at_ms, counter = int(position[1], 16), int(position[2]), int(position[3])
        wanted = wanted.where(RECORDS.c.at_ms == at_ms, RECORDS.c.counter == counter, RECORDS.c.shard == shard)
    elif _NUMBER.fullmatch(name):
        wanted = wanted.where(RECORDS.c.seq == int(name))
    else:
        return None
    row = connection.execute(wanted if app is None else wanted.where(RECORDS.c.app == app)).first()
    return (row.seq, bytes(row.leaf)) if row else None


def _signed_size(connection: Connection) -> int:
    newest = LogStore(connection).newest()
    return newest.size if newest else 0
