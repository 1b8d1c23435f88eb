"""What a worker brings to others of the signed log: checkpoints to a URL and to witnesses, and a timestamp a day."""

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import clock_ms
from ..config import Settings
from ..domain.audit import EventType
from ..domain.outlets import Outlets as Configured
from ..keyring_reload import ReloadedKeyring
from ..receivers.outgoing import Outgoing
from ..runtime.periodic_tasks import PeriodicTask
from ..transparency.notes import VerifierKey
from .stores import open_stores

if TYPE_CHECKING:
    from ..ledger.database import Database
    from ..signed_log.bringing import Post
    from ..signed_log.outlets import Outlet, Outlets

AGAIN_S = 5.0
LOOK_S = 2.0

_log = logging.getLogger("otp.signed_log")


def outlet_tasks(settings: Settings, keyring: ReloadedKeyring) -> list[PeriodicTask]:
    """What a worker has to do until it ends; nothing if no address is configured."""
    if settings.ledger is None or not settings.outlets.any:
        return []

    def bring(stop: threading.Event) -> None:
        from .ledger import open_ledger  # noqa: PLC0415 - the database's library, only if there is something to do

        database = open_ledger(settings)
        try:
            _bring_until(stop, build_outlets(settings, keyring, database))
        finally:
            database.close()

    return [PeriodicTask("log outlets", AGAIN_S, bring)]


def _bring_until(stop: threading.Event, outlets: "Outlets") -> None:
    while not stop.is_set():
        for failed in outlets.bring_what_is_due():
            told = {"task": failed.target, "reason": failed.reason}
            _log.warning("a checkpoint was not brought where it is wanted", extra=told)
        stop.wait(LOOK_S)


def build_outlets(settings: Settings, keyring: ReloadedKeyring, database: "Database") -> "Outlets":
    """All that are configured."""
    from ..signed_log.outlets import Outlets  # noqa: PLC0415

    return Outlets(database, _outlets(settings, keyring, database), clock_ms)


def _outlets(settings: Settings, keyring: ReloadedKeyring, database: "Database") -> "list[Outlet]":
    from ..signed_log.bringing import ToAddress, ToWitness  # noqa: PLC0415
    from ..signed_log.timestamps import ToTimestamping  # noqa: PLC0415

    def added(key: VerifierKey) -> None:
        stores = open_stores(settings, keyring)
        try:
            stores.audit.record(EventType.WITNESS_ADDED, {"witness": key.name, "key": str(key)})
        finally:
            stores.store.close()

    wanted = settings.outlets
    outlets: list[Outlet] = []
    if wanted.checkpoint_url:
        outlets.append(ToAddress(database, _post(wanted, wanted.checkpoint_url), wanted.checkpoint_every_ms))
    if wanted.timestamp_url and wanted.timestamp_ca_file:
        authorities = Path(wanted.timestamp_ca_file)
        outlets.append(ToTimestamping(database, _post(wanted, wanted.timestamp_url), authorities, clock_ms))
    for one in wanted.witnesses:
        post = _post(wanted, one.url.rstrip("/") + "/add-checkpoint")
        outlets.append(ToWitness(database, VerifierKey.parse(one.key), post, clock_ms, added))
    return outlets


def _post(wanted: Configured, url: str) -> "Post":
    return Outgoing(url, allow_private=wanted.allow_private).post
