"""The pumping guard of one process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .. import telemetry
from ..config import Settings
from ..domain.errors import StoreUnavailable
from ..domain.guarding import Places
from ..domain.ids import Ids
from ..storage.guard import GuardBudgets
from ..storage.guard_states import GuardStates
from ..storage.guarded_numbers import GuardedNumbers
from ..storage.safe_list import SafeListTable
from ..usecases.guard import Guard, GuardReports, SafeList
from ..usecases.guard.edit_safe_list import EditSafeList
from ..usecases.guard.progress import told
from .senders import alert
from .stores import Stores, open_keyring, open_stores

_log = logging.getLogger("otp.guard")


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
    telemetry.count(telemetry.GUARD, app, budget, outcome)


def tell_guard(settings: Settings, stores: Stores) -> None:
    """Log for each app whether its budgets of countries refuse yet. A store that does not answer is told elsewhere."""
    states = GuardStates(stores.store, stores.keys)
    with suppress(StoreUnavailable):
        for name, app in settings.policy.apps.items():
            one = states.progress(name, app.guard)
            line = told(app.guard, started_ms=one.started_ms, approvals=one.approvals, only_reports=one.only_reports)
            _log.info("the mode of the pumping guard", extra={"app": name, "reason": line})


def first_starts(settings: Settings) -> dict[str, int]:
    """When each app's guard met its first start; 0 if none yet. Raises ConfigError, NotReady and StoreUnavailable."""
    stores = open_stores(settings)
    try:
        states = GuardStates(stores.store, stores.keys)
        return {name: states.progress(name, app.guard).started_ms for name, app in settings.policy.apps.items()}
    finally:
        stores.store.close()


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
        states = GuardStates(stores.store, stores.keys)
        yield GuardParts(states, table, edit)
    finally:
        stores.store.close()
