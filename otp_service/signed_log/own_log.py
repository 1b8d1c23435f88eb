"""The log of this machine, as its operator's commands see it."""

from collections.abc import Sequence

from ..ledger.database import Database
from ..transparency.checkpoints import Checkpoint, LogKeys
from ..transparency.notes import VerifierKey
from .inspection import Progress, Report, Span, verify_ledger
from .log_store import Followed, LogStore
from .own_keys import own_keys
from .personal import Opening
from .reading import LogReader
from .signing import Signers
from .told import ended_logs


class OwnLog:
    """Each method raises LedgerUnavailable. `origin`: the name that the log will have, if it has none yet."""

    def __init__(self, database: Database, signers: Signers, origin: str, opening: Opening) -> None:
        self.database = database
        self._opening = opening
        self._signers = signers
        self._origin = origin

    def origin(self) -> str:
        """The log's name."""
        with self.database.reading() as connection:
            return LogStore(connection).origin() or self._origin

    def has_ended(self, origin: str) -> bool:
        """Whether it is on record that the log with this name has ended."""
        with self.database.reading() as connection:
            return origin in ended_logs(connection, self._signers)

    def checkpoint(self) -> str | None:
        """The newest checkpoint; None while there is none."""
        return LogReader(self.database).checkpoint()

    def witnesses(self) -> list[Followed]:
        """Who cosigns it, and how far each has come."""
        with self.database.reading() as connection:
            return LogStore(connection).witnesses()

    def remove_witness(self, key: str) -> None:
        """Forget the witness with this verifier key and what it cosigned."""
        with self.database.writing() as connection:
            LogStore(connection).remove_witness(key)

    def keys(self, first: VerifierKey | None = None) -> LogKeys:
        """The log's keys from this one on, or from the keyring's first. Raises NoteError."""
        with self.database.reading() as connection:
            if first is not None:
                return LogKeys(first, LogStore(connection).rotations())
            return own_keys(connection, self._signers, self._origin)

    def verify(
        self, first: VerifierKey | None, older: Sequence[Checkpoint], progress: Progress, span: Span | None = None
    ) -> Report:
        """Verify the whole log, or the records of `span` (see `inspection`). Raises NoteError where there are none."""
        return verify_ledger(self.database, self.keys(first), self._opening, older, progress=progress, span=span)
