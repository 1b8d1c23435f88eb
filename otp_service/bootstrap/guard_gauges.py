"""The gauges of the pumping guard's budgets."""

from .. import telemetry
from ..config import Settings
from ..domain.guard.policy import Mode
from ..storage.guard_full import FullBudgets
from ..storage.guard_states import GuardState, GuardStates
from .stores import Stores

EVERY_S = 60.0
"""How often one process looks."""

EVERYWHERE = "all"
"""The country of budgets that are over all of them."""


def show_guard(settings: Settings, stores: Stores) -> None:
    """Set the gauges of each app's budgets. Raises StoreUnavailable."""
    states, small = GuardStates(stores.store, stores.keys), FullBudgets(stores.store, stores.keys)
    for name, app in settings.policy.apps.items():
        if app.guard.mode is not Mode.OFF or app.guard.countries:
            _show(states.read(name, app.guard))
            for budget, count in small.count(name).items():
                telemetry.child(telemetry.GUARD_SMALL, name, budget).set(count)


def _show(state: GuardState) -> None:
    for one in state.budgets:
        labels = (state.app, one.region or EVERYWHERE, one.budget)
        telemetry.child(telemetry.GUARD_LEVEL, *labels).set(one.level)
        telemetry.child(telemetry.GUARD_MOST, *labels).set(one.most)
