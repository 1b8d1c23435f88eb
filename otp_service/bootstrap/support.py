"""Supporting people: by HTTP for the app of a key, by command for all apps."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..config import Settings
from ..domain.guarding import Places
from ..domain.ids import Ids
from ..storage.factors import FactorTable
from ..storage.guard import GuardBudgets
from ..storage.guard_of_number import GuardOfNumber
from ..storage.limit_states import LimitStates
from ..storage.optouts import OptOuts
from ..storage.people import People
from ..storage.safe_list import SafeListTable
from ..storage.verifications import Verifications
from ..usecases.guard import SafeList
from ..usecases.guard.standing import GuardStandings
from ..usecases.limits_of_person import LimitsOfPerson
from ..usecases.spend_of_person import SpendOfPerson
from ..usecases.support import Support
from .outer import outer_of
from .stores import Stores, open_keyring, open_stores


def support_of(settings: Settings, stores: Stores, ids: Ids) -> Support:
    """The use case over these stores."""
    parts = (stores.store, stores.scripts, stores.keys)
    return Support(
        people=People(*parts),
        optouts=OptOuts(*parts),
        store=Verifications(*parts, ids),
        factors=FactorTable(*parts, ids),
        limits=LimitsOfPerson(LimitStates(stores.scripts, stores.keys), settings.policy, ids.digest),
        guard=_guard(settings, stores, ids),
        spend=SpendOfPerson(outer_of(stores), settings.prices),
        ids=ids,
        policy=settings.policy,
    )


def _guard(settings: Settings, stores: Stores, ids: Ids) -> GuardStandings:
    places = Places(ids.digest)
    table = SafeListTable(stores.store, stores.keys, stores.known.safe_list)
    return GuardStandings(
        numbers=GuardOfNumber(stores.store, stores.keys),
        budgets=GuardBudgets(stores.scripts, stores.keys),
        places=places,
        safe_list=SafeList(places, ids.number_hash, table),
        sandbox=settings.carrier_on_loopback,
    )


@contextmanager
def open_support(settings: Settings) -> Iterator[Support]:
    """The same for one command. Needs the keyring and a configuration. Raises ConfigError and NotReady."""
    settings.require_apps()
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    try:
        yield support_of(settings, stores, keyring.ids)
    finally:
        stores.store.close()
