"""The pumping guard of one process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .. import telemetry
from ..config import Settings
from ..domain.guarding import Places
from ..domain.ids import Ids
from ..storage.guard import GuardBudgets
from ..storage.guard_states import GuardStates
from ..storage.guarded_numbers import GuardedNumbers
from ..storage.safe_list import SafeListTable
from ..usecases.guard import Guard, GuardReports, SafeList
from ..usecases.guard.edit_safe_list import EditSafeList
from .senders import alert
from .stores import Stores, open_keyring, open_stores


def build_guard(settings: Settings, stores: Stores, ids: Ids) -> Guard:
    """The guard over these stores. What it knows is shared with the others of this process."""
    places = Places(ids.digest, settings.policy.audit_client_ips)
    return Guard(
        budgets=GuardBudgets(stores.scripts, stores.keys),
        numbers=GuardedNumbers(stores.scripts, stores.keys),
        places=places,
        safe_list=SafeList(places, ids.number_hash, SafeListTable(stores.store, stores.keys, stores.known.safe_list)),
        reports=GuardReports(events=stores.audit, alert=alert(settings, stores).guard, count=_count),
        notes=stores.known.guard_notes,
        policy=settings.policy,
        sandbox=settings.carrier_on_loopback,
    )


def _count(app: str, budget: str, outcome: str) -> None:
    telemetry.child(telemetry.GUARD, app, budget, outcome).inc()


@dataclass(frozen=True, slots=True)
class GuardParts:
    """What commands work with."""

    states: GuardStates
    safe_list: SafeListTable
    edit: EditSafeList


@contextmanager
def open_guard(settings: Settings) -> Iterator[GuardParts]:
    """The guard for one command. Needs the keyring and a configuration. Raises ConfigError and NotReady."""
    settings.require_apps()
    ids = open_keyring(settings).ids
    stores = open_stores(settings)
    table = SafeListTable(stores.store, stores.keys, stores.known.safe_list)
    names = SafeList(Places(ids.digest), ids.number_hash, table)
    try:
        edit = EditSafeList(names=names, table=table, events=stores.audit)
        yield GuardParts(GuardStates(stores.store, stores.keys), table, edit)
    finally:
        stores.store.close()
