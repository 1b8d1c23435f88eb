"""Checkpoints and cosignatures in the database, within one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from ..transparency.checkpoints import Checkpoint, read_checkpoint
from ..transparency.notes import Note, SignatureLine
from .tables import CHECKPOINTS, COSIGNATURES, LOG


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
        cosigned = select(func.max(COSIGNATURES.c.checkpoint)).scalar_subquery()
        return self._one(select(CHECKPOINTS).where(CHECKPOINTS.c.id == cosigned))

    def of_text(self, size: int, text: str) -> SignedCheckpoint | None:
        """The newest checkpoint of this size with this text."""
        query = select(CHECKPOINTS).where(CHECKPOINTS.c.size == size).order_by(CHECKPOINTS.c.id.desc())
        found = (SignedCheckpoint(*row[:4]) for row in self._connection.execute(query))
        return next((one for one in found if one.note.startswith(f"{text}\n")), None)

    def _one(self, query: object) -> SignedCheckpoint | None:
        row = self._connection.execute(query).first()  # type: ignore[call-overload]
        return SignedCheckpoint(*row[:4]) if row else None

    def all_notes(self) -> Sequence[str]:
        """Every checkpoint that was kept, oldest first."""
        return self._connection.execute(select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.id)).scalars().all()

    def rotations(self) -> Sequence[str]:
        """The last checkpoints of old keys, oldest first."""
        query = select(CHECKPOINTS.c.note).where(CHECKPOINTS.c.rotates == 1).order_by(CHECKPOINTS.c.id)
        return self._connection.execute(query).scalars().all()

    def add(self, note: Note, size: int, at_ms: int, *, rotates: bool = False) -> None:
        """Keep a signed checkpoint."""
        number = (self._connection.execute(select(func.max(CHECKPOINTS.c.id))).scalar() or 0) + 1
        values = {"id": number, "size": size, "note": str(note), "at_ms": at_ms, "rotates": int(rotates)}
        self._connection.execute(insert(CHECKPOINTS).values(**values))

    def add_cosignature(self, checkpoint: int, witness: str, line: SignatureLine, at_ms: int) -> None:
        """Keep what a witness said, once for each checkpoint and witness."""
        same = (COSIGNATURES.c.checkpoint == checkpoint) & (COSIGNATURES.c.witness == witness)
        if self._connection.execute(select(COSIGNATURES.c.checkpoint).where(same)).first() is None:
            values = {"checkpoint": checkpoint, "witness": witness, "line": str(line), "at_ms": at_ms}
            self._connection.execute(insert(COSIGNATURES).values(**values))

    def published(self, signed: SignedCheckpoint) -> str:
        """The note with the cosignatures that came since."""
        query = select(COSIGNATURES.c.line).where(COSIGNATURES.c.checkpoint == signed.id)
        return signed.note + "".join(self._connection.execute(query.order_by(COSIGNATURES.c.witness)).scalars())

    def cosigned_sizes(self) -> dict[str, int]:
        """The size that each witness cosigned last, by its verifier key."""
        newest = select(COSIGNATURES.c.witness, func.max(CHECKPOINTS.c.size)).join_from(
            COSIGNATURES, CHECKPOINTS, COSIGNATURES.c.checkpoint == CHECKPOINTS.c.id
        )
        rows = self._connection.execute(newest.group_by(COSIGNATURES.c.witness))
        return {witness: size for witness, size in rows}  # noqa: C416 - rows are no pairs for the type checker
