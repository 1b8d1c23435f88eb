"""The pumping guard of one process."""

from .. import telemetry
from ..config import Settings
from ..domain.guarding import Places
from ..domain.ids import Ids
from ..storage.guard import GuardBudgets
from ..storage.guarded_numbers import GuardedNumbers
from ..storage.safe_list import SafeListTable
from ..usecases.guard import Guard, GuardReports, SafeList
from .senders import alert
from .stores import Stores


def build_guard(settings: Settings, stores: Stores, ids: Ids) -> Guard:
    """The guard over these stores. What it knows is shared with the others of this process."""
    places = Places(ids.digest)
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
