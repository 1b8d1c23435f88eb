"""Checkpoints and cosignatures in the database, within one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from ..transparency.checkpoints import Checkpoint, read_checkpoint
from ..transparency.notes import Note, SignatureLine
from .tables import CHECKPOINTS, LOG, WITNESSES

PORTION = 1_000
"""So many checkpoints are read at a time."""


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint that the log signed at `at_ms`, without cosignatures."""

    id: int
    size: int
    note: str
    at_ms: int

    @property
    def checkpoint(self) -> Checkpoint:
        """What it says. Raises NoteError if the row was changed."""
        return read_checkpoint(self.note)[1]


@dataclass(frozen=True, slots=True)
class Followed:
    """How far the witness with this verifier key has come.

    `behind_since_ms`: when the first checkpoint was signed that it did not cosign; None if it has cosigned the newest.
    """

    key: str
    size: int
    behind_since_ms: int | None

    @property
    def name(self) -> str:
        """The name in its key."""
        return self.key.partition("+")[0]


class LogStore:
    """Reads and writes the log's rows; the connection's owner begins and ends the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def origin(self, *, locked: bool = False) -> str | None:
        """The name of the log; None before the first checkpoint."""
        wanted = select(LOG.c.origin)
        return self._connection.execute(wanted.with_for_update() if locked else wanted).scalar()

    def first_key(self) -> str | None:
        """The verifier key that signed first; None before the first checkpoint."""
        return self._connection.execute(select(LOG.c.first_key)).scalar()

    def begin(self, origin: str, first_key: str) -> None:
        """Give the log its name."""
        self._connection.execute(insert(LOG).values(id=1, origin=origin, first_key=first_key))

    def newest(self) -> SignedCheckpoint | None:
        """The newest checkpoint."""
        return self._one(select(CHECKPOINTS).order_by(CHECKPOINTS.c.id.desc()).limit(1))

    def newest_cosigned(self) -> SignedCheckpoint | None:
        """The newest checkpoint that a witness cosigned."""
        cosigned = select(func.max(WITNESSES.c.checkpoint)).scalar_subquery()
        return self._one(select(CHECKPOINTS).where(CHECKPOINTS.c.id == cosigned))

    def of_text(self, size: int, text: str) -> SignedCheckpoint | None:
        """The newest checkpoint of this size with this text."""
        query = select(CHECKPOINTS).where(CHECKPOINTS.c.size == size).order_by(CHECKPOINTS.c.id.desc())
        found = (SignedCheckpoint(*row[:4]) for row in self._connection.execute(query))
        return next((one for one in found if one.note.startswith(f"{text}\n")), None)

    def _one(self, query: object) -> SignedCheckpoint | None:
        row = self._connection.execute(query).first()  # type: ignore[call-overload]
        return SignedCheckpoint(*row[:4]) if row else None

    def oldest_note(self) -> str | None:
        """The first checkpoint."""
        return self._connection.execute(select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.id).limit(1)).scalar()

    def notes(self) -> Iterator[str]:
        """Every checkpoint that was kept, oldest first, a portion of them in memory at a time."""
        query = select(CHECKPOINTS.c.id, CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.id).limit(PORTION)
        rows = self._connection.execute(query).all()
        while rows:
            yield from (note for _, note in rows)
            rows = self._connection.execute(query.where(CHECKPOINTS.c.id > rows[-1][0])).all()

    def rotations(self) -> Sequence[str]:
        """The last checkpoints of old keys, oldest first."""
        query = select(CHECKPOINTS.c.note).where(CHECKPOINTS.c.rotates == 1).order_by(CHECKPOINTS.c.id)
        return self._connection.execute(query).scalars().all()

    def rotations_after(self, checkpoint: int) -> list[SignedCheckpoint]:
        """The last checkpoints of old keys that came behind the one with this id, oldest first."""
        later = (CHECKPOINTS.c.rotates == 1) & (CHECKPOINTS.c.id > checkpoint)
        found = self._connection.execute(select(CHECKPOINTS).where(later).order_by(CHECKPOINTS.c.id))
        return [SignedCheckpoint(*row[:4]) for row in found]

    def cosigned_by(self, witness: str) -> tuple[int, int]:
        """Id and size of the checkpoint that the witness with this key cosigned last; zeros before the first."""
        query = select(WITNESSES.c.checkpoint, CHECKPOINTS.c.size).join_from(
            WITNESSES, CHECKPOINTS, WITNESSES.c.checkpoint == CHECKPOINTS.c.id
        )
        row = self._connection.execute(query.where(WITNESSES.c.witness == witness)).first()
        return (row[0], row[1]) if row else (0, 0)

    def add(self, note: Note, size: int, at_ms: int, *, rotates: bool = False) -> None:
        """Keep a signed checkpoint."""
        number = (self._connection.execute(select(func.max(CHECKPOINTS.c.id))).scalar() or 0) + 1
        values = {"id": number, "size": size, "note": str(note), "at_ms": at_ms, "rotates": int(rotates)}
        self._connection.execute(insert(CHECKPOINTS).values(**values))

    def add_cosignature(self, checkpoint: int, witness: str, line: SignatureLine, at_ms: int) -> None:
        """Keep what a witness said last. What it says of an older checkpoint than before changes nothing."""
        same = WITNESSES.c.witness == witness
        last = self._connection.execute(select(WITNESSES.c.checkpoint).where(same)).scalar()
        if last is None or last < checkpoint:
            self._connection.execute(delete(WITNESSES).where(same))
            values = {"checkpoint": checkpoint, "witness": witness, "line": str(line), "at_ms": at_ms}
            self._connection.execute(insert(WITNESSES).values(**values))

    def remove_witness(self, witness: str) -> None:
        """Forget a witness and what it cosigned."""
        self._connection.execute(delete(WITNESSES).where(WITNESSES.c.witness == witness))

    def published(self, signed: SignedCheckpoint) -> str:
        """The note with the cosignatures that came since."""
        query = select(WITNESSES.c.line).where(WITNESSES.c.checkpoint == signed.id)
        return signed.note + "".join(self._connection.execute(query.order_by(WITNESSES.c.witness)).scalars())

    def witnesses(self) -> list[Followed]:
        """How far each witness has come, in the order of their keys."""
        query = select(WITNESSES.c.witness, WITNESSES.c.checkpoint, CHECKPOINTS.c.size).join_from(
            WITNESSES, CHECKPOINTS, WITNESSES.c.checkpoint == CHECKPOINTS.c.id
        )
        rows = self._connection.execute(query.order_by(WITNESSES.c.witness)).all()
        return [Followed(witness, size, self._signed_after(checkpoint)) for witness, checkpoint, size in rows]

    def _signed_after(self, checkpoint: int) -> int | None:
        """When the next checkpoint was signed; None if there is none."""
        later = select(CHECKPOINTS.c.at_ms).where(CHECKPOINTS.c.id > checkpoint)
        return self._connection.execute(later.order_by(CHECKPOINTS.c.id).limit(1)).scalar()
