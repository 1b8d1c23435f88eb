"""Bringing checkpoints to others, one worker at a time for each of them, and again after a failure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, insert, select, update

from ..domain.errors import ServiceError
from ..ledger.database import Database
from .log_store import LogStore, SignedCheckpoint
from .tables import OUTLETS

LEASE_MS = 120_000
"""So long nobody else tries meanwhile: longer than any try takes."""

FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 10_000, 3_600_000


class NotTaken(ServiceError):
    """Whom the checkpoint was brought to did not take it; the sentence says why."""


class Outlet(Protocol):
    """One of those who get checkpoints. `target` names it, `every_ms` is the least time between two of them."""

    @property
    def target(self) -> str:
        """Without a secret: it stands in logs."""
        ...

    @property
    def every_ms(self) -> int:
        """Milliseconds."""
        ...

    def bring(self, newest: SignedCheckpoint) -> None:
        """Bring it there. Raises ServiceError."""
        ...


@dataclass(frozen=True, slots=True)
class Failed:
    """A try that failed: whom for, and why."""

    target: str
    reason: str


class Outlets:
    """Those of one log. For one thread; several processes may bring the same, one after the other."""

    def __init__(self, database: Database, outlets: list[Outlet], now_ms: Callable[[], int]) -> None:
        self._database = database
        self._outlets = outlets
        self._now_ms = now_ms

    def bring_what_is_due(self) -> Iterator[Failed]:
        """Try each that is due once; those that failed. Raises LedgerUnavailable."""
        for outlet in self._outlets:
            newest = self._claimed(outlet.target)
            if newest is None:
                continue
            try:
                outlet.bring(newest)
            except ServiceError as error:
                self._failed(outlet.target)
                yield Failed(outlet.target, error.detail)
            else:
                self._arrived(outlet, newest)

    def _claimed(self, target: str) -> SignedCheckpoint | None:
        """The newest checkpoint, if it is new there, if it is time, and if no other worker is at it."""
        # Looked at first: who writes makes all others wait.
        with self._database.reading() as connection:
            if _due(connection, target, self._now_ms()) is None:
                return None
        with self._database.writing() as connection:
            _lock(connection, target)
            now_ms = self._now_ms()
            newest = _due(connection, target, now_ms)
            if newest is not None:
                _write(connection, target, again_ms=now_ms + LEASE_MS)
            return newest

    def _arrived(self, outlet: Outlet, newest: SignedCheckpoint) -> None:
        again_ms = self._now_ms() + outlet.every_ms
        with self._database.writing() as connection:
            _write(connection, outlet.target, checkpoint=newest.id, again_ms=again_ms, failures=0)

    def _failed(self, target: str) -> None:
        with self._database.writing() as connection:
            _lock(connection, target)
            failures = _row(connection, target).failures + 1
            pause_ms = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(failures - 1, 10))
            _write(connection, target, again_ms=self._now_ms() + pause_ms, failures=failures)


class _Row(NamedTuple):
    checkpoint: int = 0
    again_ms: int = 0
    failures: int = 0


_NEW = _Row()


def _row(connection: Connection, target: str) -> _Row:
    """What is known of it."""
    wanted = select(*(OUTLETS.c[name] for name in _Row._fields)).where(OUTLETS.c.target == target)
    found = connection.execute(wanted).first()
    return _NEW if found is None else _Row(*found)


def _lock(connection: Connection, target: str) -> None:
    """Until the end of the transaction; its row is made if it is not there."""
    wanted = select(OUTLETS.c.target).where(OUTLETS.c.target == target).with_for_update()
    if connection.execute(wanted).first() is None:
        connection.execute(insert(OUTLETS).values(target=target, **_NEW._asdict()))


def _due(connection: Connection, target: str, now_ms: int) -> SignedCheckpoint | None:
    """The newest checkpoint, if it has to be brought there now. Of an empty log there is nothing to say."""
    newest, row = LogStore(connection).newest(), _row(connection, target)
    if newest is None or newest.size == 0 or row.again_ms > now_ms or row.checkpoint >= newest.id:
        return None
    return newest


def _write(connection: Connection, target: str, **values: int) -> None:
    connection.execute(update(OUTLETS).where(OUTLETS.c.target == target).values(**values))


def failing(connection: Connection) -> dict[str, int]:
    """How many tries in a row failed, by target, where any did."""
    wanted = select(OUTLETS.c.target, OUTLETS.c.failures).where(OUTLETS.c.failures > 0).order_by(OUTLETS.c.target)
    return {target: int(failures) for target, failures in connection.execute(wanted)}
