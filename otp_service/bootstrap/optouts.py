"""Reading the carrier's list of opt-outs into our registry."""

import secrets
import time

from .. import telemetry
from ..config import Settings
from ..keyring_reload import ReloadedKeyring
from ..storage.cursors import Cursors
from ..storage.optouts import OptOuts
from ..telnyx.gateway import Gateway
from ..usecases.optout_list import Progress
from ..usecases.sync_optouts import SyncOptouts
from ..usecases.sync_profile_optouts import SyncResult
from .required import require_for_worker
from .stores import Stores, open_keyring, open_stores


def optout_sync(settings: Settings, stores: Stores, keyring: ReloadedKeyring, gateway: Gateway) -> SyncOptouts:
    """The sync, for the worker's periodic task and for the command."""
    return SyncOptouts(
        source=gateway,
        registry=OptOuts(stores.store, stores.scripts, stores.keys),
        cursors=Cursors(stores.store, stores.scripts, stores.keys),
        vault=keyring,
        policy=settings.policy,
        interval_ms=settings.optout_sync_ms,
        # The store's: a wrong clock here would move the cursor past opt-outs that are still to come.
        now_ms=keyring.clock_ms,
        token=lambda: secrets.token_hex(8),
        count=_count,
        sleep=time.sleep,
    )


def sync_optouts(settings: Settings, progress: Progress) -> list[SyncResult]:
    """Read the carrier's whole list of opt-outs into the registry now. `progress` is called after each page."""
    with require_for_worker(settings) as telnyx:
        keyring = open_keyring(settings)
        stores = open_stores(settings, keyring)
        try:
            return optout_sync(settings, stores, keyring, Gateway(telnyx)).run_now(progress, time.sleep)
        finally:
            stores.store.close()


def _count(outcome: str) -> None:
    telemetry.OPTOUT_SYNCS.labels(outcome).inc()
    if outcome == "done":
        telemetry.OPTOUT_SYNCED.set_to_current_time()
