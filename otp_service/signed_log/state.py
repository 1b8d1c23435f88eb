"""How the log is doing, for metrics and `doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..ledger.database import Database
from .ledger_rows import size_in
from .log_store import Followed, LogStore


@dataclass(frozen=True, slots=True)
class LogState:
    """`signed_at_ms` is None while nothing was signed."""

    records: int
    signed: int
    signed_at_ms: int | None
    origin: str | None
    witnesses: Sequence[Followed]


def log_state(database: Database) -> LogState:
    """As it is now. Raises LedgerUnavailable."""
    with database.reading() as connection:
        log = LogStore(connection)
        newest = log.newest()
        signed, at_ms = (newest.size, newest.at_ms) if newest else (0, None)
        return LogState(size_in(connection), signed, at_ms, log.origin(), log.witnesses())
