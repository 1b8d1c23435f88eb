"""The signed log of one process: what signs in a worker, and what is published of it by the API.

What works with the database is imported when it is needed: no start waits for it.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import telemetry
from ..clock import clock_ms
from ..config import Settings, load_keyring
from ..keyring import Keyring
from ..keyring_reload import ReloadedKeyring
from ..runtime.periodic_tasks import PeriodicTask
from ..usecases import ports
from ..web.http import Reply
from ..web.routes.audit_log import without_a_key

if TYPE_CHECKING:
    from ..ledger.database import Database
    from ..signed_log.own_log import OwnLog
    from ..signed_log.personal import Opening
    from ..signed_log.signing import LogSigner

LOOK_S = 5.0
"""How soon a process looks again for a log that was not there."""

SIGN_S = 1.0
"""How often a worker looks whether a checkpoint is due."""

_log = logging.getLogger("otp.signed_log")


class LogLook:
    """Finds the log as soon as it is there: it is made by the worker, which may start later."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url = settings.ledger
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._found: ports.PublishedLog | None = None
        self._again_at = 0.0

    def log(self) -> ports.PublishedLog | None:
        """The log; None while there is none. Raises LedgerUnavailable."""
        with self._lock:
            if self._found is None and self._url is not None and self._monotonic() >= self._again_at:
                self._found = _reader(self._url)
                self._again_at = self._monotonic() + LOOK_S
            return self._found


def published(settings: Settings) -> Callable[[str], Reply | None]:
    """What is shown of the log without a key, by its path."""
    return partial(without_a_key, LogLook(settings).log)


def _reader(url: str) -> ports.PublishedLog | None:
    from ..ledger.database import find_database  # noqa: PLC0415
    from ..signed_log.reading import LogReader  # noqa: PLC0415

    database = find_database(url)
    return LogReader(database) if database else None


def build_signer(settings: Settings, keyring: ReloadedKeyring, database: "Database") -> "LogSigner":
    """What signs the records in this database."""
    from ..signed_log.signers import origin_of, signers_of  # noqa: PLC0415
    from ..signed_log.signing import LogSigner  # noqa: PLC0415

    return LogSigner(
        database,
        origin_of(settings.public_url),
        signers_of(keyring.current),
        clock_ms,
        kept_checkpoint(settings),
    )


def kept_checkpoint(settings: Settings) -> Path | None:
    """The file that keeps the newest checkpoint: in the data directory, which is that of the keyring by default."""
    from ..signed_log.kept_checkpoint import FILE  # noqa: PLC0415

    directory = settings.data_dir or (settings.keyring_path.parent if settings.keyring_path else None)
    return None if directory is None else directory / FILE


@contextmanager
def own_log(settings: Settings) -> "Iterator[OwnLog]":
    """The log of this machine, for its operator's commands. Raises ConfigError and LedgerUnavailable."""
    from ..signed_log.own_log import OwnLog  # noqa: PLC0415
    from ..signed_log.signers import origin_of, signers_of  # noqa: PLC0415
    from .ledger import open_ledger  # noqa: PLC0415

    keyring = load_keyring(settings)
    database = open_ledger(settings)
    signers, origin = signers_of(lambda: keyring.at(clock_ms())), origin_of(settings.public_url)
    try:
        yield OwnLog(database, signers, origin, opening_of(keyring))
    finally:
        database.close()


def opening_of(keyring: Keyring) -> "Opening":
    """What opens that which stands beside records."""
    from ..signed_log.personal import Opening  # noqa: PLC0415
    from .erasing import tombstone_of  # noqa: PLC0415

    def number_of(token: str) -> str | None:
        found = keyring.ids.read_token(token)
        return found.number_hash if found else None

    return Opening(keyring.open, number_of, partial(tombstone_of, keyring.ids))


def signing_tasks(settings: Settings, keyring: ReloadedKeyring) -> list[PeriodicTask]:
    """What a worker has to do for the log until it ends."""
    if settings.ledger is None:
        return []

    def sign(stop: threading.Event) -> None:
        from .ledger import open_ledger  # noqa: PLC0415

        database = open_ledger(settings)
        try:
            _sign_until(stop, build_signer(settings, keyring, database), database)
        finally:
            database.close()

    return [PeriodicTask("signed log", LOOK_S, sign)]


def _sign_until(stop: threading.Event, signer: "LogSigner", database: "Database") -> None:
    from ..signed_log.signing import LogDamaged  # noqa: PLC0415

    followed = set[str]()
    while not stop.is_set():
        try:
            for note in signer.sign_if_due():
                _log.info("a checkpoint was signed", extra={"checkpoint": note})
            telemetry.LOG_REFUSED.set(0)
        except LogDamaged as error:
            # Not an end of the worker: deliveries go on, and somebody has to look at the log.
            telemetry.LOG_REFUSED.set(1)
            _log.error("no checkpoint can be signed", extra={"reason": error.detail})
            stop.wait(LOOK_S)
        followed = _measure(database, followed)
        stop.wait(SIGN_S)


def _measure(database: "Database", before: set[str]) -> set[str]:
    """Set the gauges; the names of the witnesses. `before`: those of the last time."""
    from ..signed_log.state import log_state  # noqa: PLC0415

    state = log_state(database)
    telemetry.LOG_UNSIGNED.set(state.records - state.signed)
    telemetry.LOG_SIGNED_AT.set((state.signed_at_ms or 0) / 1000)
    for witness in state.witnesses:
        telemetry.LOG_WITNESS_LAG.labels(witness.name).set(state.signed - witness.size)
    names = {witness.name for witness in state.witnesses}
    for removed in before - names:
        # A value can be taken from no file that processes share: this one compares with no bound.
        telemetry.LOG_WITNESS_LAG.labels(removed).set(math.nan)
    return names
