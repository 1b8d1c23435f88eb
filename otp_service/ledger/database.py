"""The database of the ledger: SQLite by itself, PostgreSQL where several machines write.

SQLite keeps what it was told when the machine loses power (`synchronous=FULL`), lets others read while one writes
(WAL), and overwrites what is deleted (`secure_delete`).
"""

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..domain.errors import StoreUnavailable
from .read_ahead import ReadAhead
from .tables import POSITIONS

BUSY_S = 30.0
"""For so long one writer waits for another."""

EMPTY_S = 120.0
"""For so long the file beside the ledger may stay as it is: whoever has begun to copy it back has to end first."""

AGAIN_S = 0.2
CONNECT_S = 5
_FORGETTING = {
    "sqlite": ("VACUUM",),
    "postgresql": ("VACUUM FULL persons", "VACUUM FULL webhooks", "VACUUM FULL records"),
}
"""What writes the tables anew, without what was deleted."""

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")


class LedgerUnavailable(StoreUnavailable):
    """The ledger's database does not answer, or refuses. Callers are told what they are told of the store."""


class Database:
    """An open database. Safe for many threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writes = engine.execution_options(writes=True)
        # A transaction of SQLite sees one moment by itself; in PostgreSQL each statement sees another one unless told.
        self._reads = engine if self.is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        self.ahead = ReadAhead(Path(str(engine.url.database))) if self.is_sqlite else None
        """Looks up rows of a page before they are read; where the database does not do so itself."""

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that sees the database of one moment. Raises LedgerUnavailable."""
        with _answering(), self._reads.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that is kept whole or not at all. In SQLite nobody else writes meanwhile.

        Raises LedgerUnavailable.
        """
        with _answering(), self._writes.connect() as connection, connection.begin():
            yield connection

    def copy_to(self, path: Path) -> None:
        """Write the database of this moment into an empty file (SQLite). Raises LedgerUnavailable."""
        with self._alone() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(path),))

    def forget_free_space(self) -> None:
        """Leave nothing of what was deleted: neither in free pages nor in the file beside it. Raises LedgerUnavailable,
        also where somebody reads so long that the file beside it must stay.

        Where others write all the time it may wait for them.
        """
        with self._alone() as connection:
            for statement in _FORGETTING[self.engine.dialect.name]:
                connection.exec_driver_sql(statement)
            if self.is_sqlite:
                _empty_the_log(connection)

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """Outside of any transaction."""
        with _answering(), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def close(self) -> None:
        """Close all connections. It may be used again."""
        self.engine.dispose()
        if self.ahead is not None:
            self.ahead.close()


def _empty_the_log(connection: Connection) -> None:
    """Empty the file beside the ledger. SQLite waits for readers, but not for another process that does the same."""
    until = time.monotonic() + EMPTY_S
    while connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one():
        if time.monotonic() >= until:
            raise LedgerUnavailable("The ledger is being read: its -wal file still holds what was erased. Try again.")
        time.sleep(AGAIN_S)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # The text of the error may hold a password or what was written: its cause's first line says enough.
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        raise LedgerUnavailable(f"The ledger's database refuses: {_first_line(cause)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def open_database(url: str) -> Database:
    """Open it; its tables may not be there yet (see `migrations`). Raises LedgerUnavailable.

    `url`: `sqlite:////absolute/path` or `postgresql://…`.
    """
    if url.startswith("sqlite:"):
        return Database(_sqlite(sqlite_path(url)))
    try:
        made = create_engine(
            "postgresql+psycopg" + url[url.index(":") :],
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_S},
        )
    except ModuleNotFoundError as error:
        raise LedgerUnavailable("PostgreSQL needs psycopg: pip install 'otp-service[postgres]'.") from error
    return Database(made)


def find_database(url: str) -> Database | None:
    """The database if its tables are there; nothing is made. Raises LedgerUnavailable."""
    if url.startswith("sqlite:") and not sqlite_path(url).exists():
        return None
    database = open_database(url)
    with database.reading() as connection:
        if inspect(connection).has_table(POSITIONS.name):
            return database
    database.close()
    return None


def sqlite_path(url: str) -> Path:
    """The file that a URL of SQLite names."""
    return Path(url.removeprefix("sqlite://").removeprefix("/") or "/")


def _sqlite(path: Path) -> Engine:
    _make_private(path)
    engine = create_engine(f"sqlite+pysqlite:///{path}", connect_args={"timeout": BUSY_S, "check_same_thread": False})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


_MAKING = threading.Lock()


def _make_private(path: Path) -> None:
    # SQLite gives the files beside it the rights of the file.
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file that is there is not opened here: closing it would end the locks that SQLite has for the other
        # connections of this process (fcntl), and another process would take away the log that they write.
        with _MAKING:
            if not path.exists():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise LedgerUnavailable(
            f"The ledger {path} cannot be written: {error.strerror}; OTP_DATA_DIR names its directory."
        ) from error


def _prepare(connection: Any, _record: object) -> None:
    # Transactions begin where we say it, not where the driver guesses it.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    writes = options.get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
