"""Supporting people: by HTTP for the app of a key, by command for all apps."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..config import Settings
from ..domain.ids import Ids
from ..storage.optouts import OptOuts
from ..storage.people import People
from ..storage.verifications import Verifications
from ..usecases.support import Support
from .stores import Stores, open_keyring, open_stores


def support_of(settings: Settings, stores: Stores, ids: Ids) -> Support:
    """The use case over these stores."""
    return Support(
        people=People(stores.store, stores.scripts, stores.keys),
        optouts=OptOuts(stores.store, stores.scripts, stores.keys),
        store=Verifications(stores.store, stores.scripts, stores.keys, ids),
        ids=ids,
        policy=settings.policy,
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
