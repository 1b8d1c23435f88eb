"""How the log is doing, for metrics and `doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..ledger.database import Database
from ..ledger.reading import begun_at_ms_in, size_in
from .log_store import Followed, LogStore
from .outlets import failing


@dataclass(frozen=True, slots=True)
class LogState:
    """`signed_at_ms` is None while nothing was signed, `begun_at_ms` (the time of the first record) while there is
    no record. `failing`: how many tries in a row to bring a checkpoint to others failed, by whom it was for.
    """

    records: int
    signed: int
    signed_at_ms: int | None
    origin: str | None
    witnesses: Sequence[Followed]
    failing: Mapping[str, int] = field(default_factory=dict)
    begun_at_ms: int | None = None


def log_state(database: Database) -> LogState:
    """As it is now. Raises LedgerUnavailable."""
    with database.reading() as connection:
        log = LogStore(connection)
        newest = log.newest()
        signed, at_ms = (newest.size, newest.at_ms) if newest else (0, None)
        return LogState(
            size_in(connection),
            signed,
            at_ms,
            log.origin(),
            log.witnesses(),
            failing(connection),
            begun_at_ms_in(connection),
        )
