"""The columns of the signed log's own tables, and rows of them that belong to nothing: each follows from what was
signed.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select

from ..transparency.checkpoints import read_checkpoint
from ..transparency.cosignatures import cosignatures, witness_key
from ..transparency.findings import Finding, Tampering
from ..transparency.notes import Note, NoteError, SignatureLine, VerifierKey
from ..transparency.tree import HASH_BYTES, TILE_WIDTH, combine
from .stored_tiles import StoredTiles
from .tables import CHECKPOINTS, LOG, OUTLETS, TILES, TIMESTAMPS, WITNESSES


def log_row_fault(connection: Connection) -> Finding | None:
    """There is one log, it has the name that its checkpoints have, and the key that signed the first of them."""
    rows = [tuple(row) for row in connection.execute(select(LOG.c.id, LOG.c.origin, LOG.c.first_key))]
    oldest = connection.execute(select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.id).limit(1)).scalar()
    if oldest is None:
        return None
    try:
        note, checkpoint = read_checkpoint(oldest)
        [(number, origin, first_key)] = rows
        if (number, origin) == (1, checkpoint.origin) and note.signed_by(VerifierKey.parse(first_key)):
            return None
    except (ValueError, TypeError, AttributeError):
        pass
    return Finding(Tampering.EDITED, None, "the table log does not name the log and the key of the first checkpoint")


def checkpoint_rows_fault(connection: Connection) -> Finding | None:
    """Their numbers go on one by one, and each row says what its note says. The notes themselves are good."""
    wanted = select(CHECKPOINTS.c.id, CHECKPOINTS.c.size, CHECKPOINTS.c.note, CHECKPOINTS.c.rotates)
    with connection.execute(wanted.order_by(CHECKPOINTS.c.id).execution_options(yield_per=1_000)) as rows:
        return _row_fault(rows)


def _row_fault(rows: Iterable[Any]) -> Finding | None:
    size, text = 0, ""
    for expected, row in enumerate(rows, 1):
        checkpoint = read_checkpoint(row.note)[1]
        if row.id != expected:
            kind = Tampering.REMOVED if row.id > expected else Tampering.INSERTED
            return Finding(kind, None, f"checkpoint {min(row.id, expected)} was {kind}")
        if row.note == text:
            return Finding(Tampering.INSERTED, None, f"checkpoint {row.id} was inserted: it is the one before it")
        if checkpoint.size < size:
            sentence = f"checkpoint {row.id} is of {checkpoint.size} records, and the one before it of {size}"
            return Finding(Tampering.SWAPPED, None, sentence)
        if (row.size, row.rotates) != (checkpoint.size, int(checkpoint.next_key is not None)):
            return Finding(Tampering.EDITED, None, f"the columns of checkpoint {row.id} are not what was signed")
        size, text = checkpoint.size, row.note
    return None


def tiles_fault(connection: Connection, size: int) -> Finding | None:
    """Behind a root and leaves that are good: the tiles between them, and tiles that no checkpoint needs.

    `size`: of how many records the newest checkpoint is.
    """
    length = func.length(TILES.c.hashes)
    found = select(TILES.c.level, func.count(), func.min(TILES.c.number), func.max(TILES.c.number), func.sum(length))
    of_level = {row[0]: tuple(row[1:]) for row in connection.execute(found.group_by(TILES.c.level))}
    needed = {level: (-(-count // TILE_WIDTH), count) for level, count in enumerate(_counts(size))}
    for level in sorted({*of_level, *needed}):
        tiles, hashes = needed.get(level, (0, 0))
        if of_level.get(level, (0, None, None, None)) != (tiles, 0, tiles - 1, hashes * HASH_BYTES):
            sentence = f"the stored tiles of level {level} are not those of {size} records"
            return Finding(Tampering.EDITED, None, sentence)
    return _between(StoredTiles(connection), size)


def _counts(size: int) -> Iterator[int]:
    """How many hashes there are on each level."""
    while size:
        yield size
        size //= TILE_WIDTH


def _between(tiles: StoredTiles, size: int) -> Finding | None:
    """A full tile has the hash that stands above it. The highest ones are in the root."""
    for level, count in enumerate(_counts(size)):
        for number in range(count // TILE_WIDTH) if level else ():
            hashes = tiles.read(level, number * TILE_WIDTH, (number + 1) * TILE_WIDTH)
            if tiles.read(level + 1, number, number + 1) != [combine(hashes)]:
                where = f"tile {number} of level {level}"
                return Finding(Tampering.EDITED, None, f"the stored tiles are not those that were signed: {where}")
    return None


def others_fault(connection: Connection) -> Finding | None:
    """What witnesses, timestamping authorities and others got or said is of a checkpoint that there is."""
    newest = connection.execute(select(func.max(CHECKPOINTS.c.id))).scalar() or 0
    for table, least in ((WITNESSES, 1), (TIMESTAMPS, 1), (OUTLETS, 0)):
        for number in connection.execute(select(table.c.checkpoint).distinct()).scalars().all():
            if not isinstance(number, int) or not least <= number <= newest:
                return Finding(Tampering.EDITED, None, f"a row of the table {table.name} names no checkpoint: {number}")
    return _witnesses_fault(connection) or _timestamps_fault(connection)


def _witnesses_fault(connection: Connection) -> Finding | None:
    of_checkpoint = WITNESSES.c.checkpoint == CHECKPOINTS.c.id
    wanted = select(WITNESSES.c.witness, WITNESSES.c.line, CHECKPOINTS.c.note)
    for witness, line, note in connection.execute(wanted.join_from(WITNESSES, CHECKPOINTS, of_checkpoint)).all():
        if not _is_cosigned(witness, line, note):
            return Finding(Tampering.EDITED, None, f"the cosignature of {witness} is not one of its checkpoint")
    return None


def _is_cosigned(witness: Any, line: Any, note: str) -> bool:
    try:
        text = Note.parse(note).text
        return bool(cosignatures(Note(text, (SignatureLine.parse(line.removesuffix("\n")),)), [witness_key(witness)]))
    except (NoteError, AttributeError, TypeError):
        return False


def _timestamps_fault(connection: Connection) -> Finding | None:
    """The answer names the checkpoint's note by its hash; whose answer it is, an authority's certificates say."""
    of_checkpoint = TIMESTAMPS.c.checkpoint == CHECKPOINTS.c.id
    wanted = select(TIMESTAMPS.c.checkpoint, TIMESTAMPS.c.response, CHECKPOINTS.c.note)
    for number, response, note in connection.execute(wanted.join_from(TIMESTAMPS, CHECKPOINTS, of_checkpoint)):
        if not isinstance(response, bytes) or sha256(note.encode()).digest() not in response:
            return Finding(Tampering.EDITED, None, f"the timestamp of checkpoint {number} is not over its note")
    return None
