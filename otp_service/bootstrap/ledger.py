"""The ledger of one process: the exporter of a worker, and pages of it for readers.

What works with the database is imported when it is needed: no start waits for it.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import telemetry
from ..clock import clock_ms, rfc3339
from ..config import Settings
from ..domain.audit import Event, EventType
from ..domain.errors import ConfigError, ServiceError, StoreUnavailable
from ..keyring_reload import ReloadedKeyring
from ..runtime.periodic_tasks import PeriodicTask, start
from ..storage.audit_log import AuditLog
from ..storage.audit_source import ONCE_MS, AuditSource
from ..usecases import ports
from ..usecases.browse import as_seen
from ..usecases.whole_record import WholeRecord
from .stores import Stores, open_keyring, open_stores

if TYPE_CHECKING:
    from ..ledger.database import Database
    from ..ledger.exporter import Exporter

_log = logging.getLogger("otp.ledger")

AGAIN_S = 5.0
"""How soon an exporter that could not go on is begun again."""

READ_ONCE_MS = 60_000
"""Reading the record is on record once in this time, as that by the API is."""

LOOK_S = 5.0
"""How soon a process looks again for a ledger that was not there."""


def open_ledger(settings: Settings) -> "Database":
    """The ledger's database, with its tables as this version needs them. Raises ConfigError and LedgerUnavailable."""
    from ..ledger.database import open_database  # noqa: PLC0415
    from ..ledger.migrations import migrate  # noqa: PLC0415

    if settings.ledger is None:
        raise ConfigError("the ledger has no place: set OTP_LEDGER_URL or OTP_DATA_DIR")
    database = open_database(settings.ledger)
    migrate(database)
    return database


def build_exporter(settings: Settings, stores: Stores, keyring: ReloadedKeyring, *, alone: bool = False) -> "Exporter":
    """The exporter; `alone`: of a process that does nothing else. Raises ConfigError and LedgerUnavailable."""
    from ..ledger.exporter import SHARE, Exporter  # noqa: PLC0415
    from ..ledger.records import RecordEncoder  # noqa: PLC0415

    source = AuditSource(stores.store, stores.scripts, stores.keys, stores.audit, kept_ms=settings.audit_retention_ms)
    encoder = RecordEncoder(keyring.seal, secrets.token_bytes)
    return Exporter(
        open_ledger(settings),
        source,
        encoder,
        now_ms=clock_ms,
        measure=_measure,
        share=1.0 if alone else SHARE,
        webhooks_kept_ms=settings.webhook_retention_ms,
    )


def _measure(waiting: int, gaps: int) -> None:
    telemetry.LEDGER_WAITING.set(waiting)
    telemetry.LEDGER_GAPS.set(gaps)


def ledger_tasks(settings: Settings, stores: Stores, keyring: ReloadedKeyring) -> list[PeriodicTask]:
    """What a worker has to do for the ledger until it ends."""

    def export(stop: threading.Event) -> None:
        exporter = build_exporter(settings, stores, keyring)
        try:
            _erase_and_export(settings, stores, keyring, exporter, stop)
        finally:
            exporter.close()

    return [PeriodicTask("ledger", AGAIN_S, export)]


def _erase_and_export(
    settings: Settings, stores: Stores, keyring: ReloadedKeyring, exporter: "Exporter", stop: threading.Event
) -> None:
    """First of all, who was erased is erased in a ledger that was restored."""
    from .erasing import replay_erasures  # noqa: PLC0415 - it needs this module

    replay_erasures(settings, stores, keyring.ids)
    exporter.run(stop)


@contextmanager
def exporting(settings: Settings) -> Iterator[Callable[[threading.Event], None]]:
    """Exports until the event is set, in a process that does nothing else."""
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    exporter = build_exporter(settings, stores, keyring, alone=True)
    try:
        yield lambda stop: _erase_and_export(settings, stores, keyring, exporter, stop)
    finally:
        exporter.close()
        stores.store.close()


def run_exporter(settings: Settings, stop: threading.Event) -> None:
    """Export until `stop`, whatever store and database do meanwhile, and sign what is in the ledger.

    Raises what is wrong at the start.
    """
    from .log_outlets import outlet_tasks  # noqa: PLC0415 - it needs this module
    from .signed_log import signing_tasks  # noqa: PLC0415 - it needs this module

    keyring = open_keyring(settings)
    with exporting(settings) as export:
        for task in (*signing_tasks(settings, keyring), *outlet_tasks(settings, keyring)):
            start(task, stop, lambda _: stop.set())
        while not stop.is_set():
            try:
                export(stop)
            except StoreUnavailable as error:
                _log.warning("the ledger cannot be written; trying again", extra={"reason": error.detail})
                stop.wait(AGAIN_S)


@contextmanager
def _opened(settings: Settings) -> "Iterator[Database]":
    database = open_ledger(settings)
    try:
        yield database
    finally:
        database.close()


def back_up_ledger(settings: Settings, path: Path) -> int:
    """Write a copy; how many records it has. It is on record then. Raises ConfigError and LedgerUnavailable."""
    from ..ledger.backup import back_up  # noqa: PLC0415

    with _opened(settings) as database:
        size = back_up(database, path)
    put_on_record(settings, EventType.LEDGER_COPIED, {"records": size})
    return size


def put_on_record(settings: Settings, kind: EventType, detail: Mapping[str, int | str], once: str = "") -> bool:
    """What was done at a shell; whether it is on record. A copy is also made where there is no store any more.

    `once`: names an event that the exporter may record, too.
    """
    try:
        stores = open_stores(settings)
        try:
            if once:
                stores.audit.record(kind, detail, ONCE_MS, mark=once, shard=0)
            else:
                stores.audit.record(kind, detail)
        finally:
            stores.store.close()
    except ServiceError as error:
        _log.warning("done, but not on record: the store takes no event", extra={"reason": str(error)})
        return False
    return True


def accept_gaps(settings: Settings) -> int:
    """End the warning of gaps; how many there were. It is on record. Raises ConfigError and LedgerUnavailable."""
    from ..ledger import writing  # noqa: PLC0415

    with _opened(settings) as database:
        count = writing.accept_gaps(database, clock_ms())
    if count:
        put_on_record(settings, EventType.LEDGER_ACCEPTED, {"gaps": count})
    return count


def export_records(
    settings: Settings, name: str, after: int, since_ms: int | None, until_ms: int | None
) -> Iterator[tuple[int, int, list[dict[str, Any]]]]:
    """Portions of an export: the last number looked at, how many records there are, and lines (`export_lines`).

    The export is on record before its first line. `name`: the format. Raises ConfigError and StoreUnavailable.
    """
    from ..ledger.exporting import records  # noqa: PLC0415

    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    asked = {"format": name, "after": after, "since_ms": since_ms, "until_ms": until_ms}
    stores.audit.record(EventType.AUDIT_EXPORTED, {key: value for key, value in asked.items() if value is not None})
    stores.store.close()
    with _opened(settings) as database:
        for done, size, found in records(database, keyring.open, after=after, since_ms=since_ms, until_ms=until_ms):
            yield done, size, [_line(one.seq, as_seen(one.event, keyring.ids)) for one in found]


def _line(seq: int, event: Event) -> dict[str, Any]:
    return {
        "ledger_seq": seq,
        "seq": event.seq,
        "at": rfc3339(event.at_ms),
        "type": event.type,
        "app": event.app,
        "verification_id": event.verification_id,
        "n": event.n,
        "delivery_id": event.delivery_id,
        "to": event.mask,
        "number_hash": event.number_hash,
        "key_id": event.key_id,
        "request_id": event.request_id,
        "address": event.address,
        "policy": event.policy,
        "detail": event.detail,
        "process": event.process,
    }


def find_ledger(settings: Settings) -> "Database | None":
    """The ledger if it is there. Raises LedgerUnavailable."""
    from ..ledger.database import find_database  # noqa: PLC0415

    return find_database(settings.ledger) if settings.ledger else None


def whole_record(settings: Settings, stores: Stores, unseal: Callable[[str], bytes]) -> WholeRecord:
    """The record out of ledger and streams."""
    return WholeRecord(stores.audit, LedgerLook(settings, unseal).pages)


def build_record(settings: Settings, asked: Mapping[str, Any]) -> WholeRecord | AuditLog:
    """The record for a command; without a keyring the streams alone, since nothing else can be opened.

    That it is read is on record, with what was `asked` for. A store that is full can be read all the same.
    """
    return build_noted_record(settings, asked, "")[0]


def build_noted_record(
    settings: Settings, asked: Mapping[str, Any], mark: str
) -> tuple[WholeRecord | AuditLog, Callable[[], None]]:
    """The same, and what puts the reading on record once more: with a `mark` once in a minute for each."""
    stores = open_stores(settings)

    def on_record() -> None:
        try:
            stores.audit.record(EventType.AUDIT_READ, asked, READ_ONCE_MS if mark else 0, mark=mark)
        except StoreUnavailable as error:
            _log.warning("that the record is read is not on record", extra={"reason": error.detail})

    on_record()
    if settings.keyring_path is None:
        return stores.audit, on_record
    return whole_record(settings, stores, open_keyring(settings).open), on_record


class LedgerLook:
    """Finds the ledger as soon as it is there: it is made by the worker, which may start later."""

    def __init__(
        self, settings: Settings, unseal: Callable[[str], bytes], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._unseal = unseal
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._pages: ports.LedgerReader | None = None
        self._again_at = 0.0

    def pages(self) -> ports.LedgerReader | None:
        """Its pages; None while there is none. Raises LedgerUnavailable."""
        with self._lock:
            if self._pages is None and self._monotonic() >= self._again_at:
                self._pages = self._open()
                self._again_at = self._monotonic() + LOOK_S
            return self._pages

    def _open(self) -> ports.LedgerReader | None:
        from ..ledger.pages import LedgerPages  # noqa: PLC0415

        database = find_ledger(self._settings)
        return LedgerPages(database, self._unseal) if database else None
