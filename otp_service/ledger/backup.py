"""A copy of the ledger while others write: the state of one moment, in a file of its own."""

import os
from pathlib import Path

from ..domain.errors import ConfigError
from . import reading
from .database import Database, LedgerUnavailable, open_database


def back_up(database: Database, path: Path) -> int:
    """Write a copy of a database of SQLite; how many records it has.

    Raises ConfigError for PostgreSQL and for a file that exists or cannot be made, and LedgerUnavailable.
    """
    if not database.is_sqlite:
        raise ConfigError("ledger backup copies SQLite; for PostgreSQL use pg_dump")
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}") from error
    try:
        database.copy_to(path)
        return _records(path)
    except LedgerUnavailable:
        path.unlink(missing_ok=True)
        raise


def _records(path: Path) -> int:
    copy = open_database(f"sqlite:///{path.absolute()}")
    try:
        return reading.size(copy)
    finally:
        copy.close()
