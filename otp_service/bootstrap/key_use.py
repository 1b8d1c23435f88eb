"""What in the store and in the processes still needs a key, and sealing with the active key what lasts."""

from collections.abc import Mapping

from ..config import Settings
from ..domain.errors import NotReady
from ..domain.key_use import KeyUse
from ..keyring import Keyring
from ..storage import readiness
from ..storage.fleet import Fleet
from ..storage.keyrings import Keyrings
from ..storage.optouts import OptOuts
from ..storage.sealed_values import Progress, Resealed, SealedValues
from .stores import Stores, open_stores


def key_use(settings: Settings, ring: Keyring, progress: Progress) -> KeyUse:
    """Look through the whole store. Raises NotReady if it belongs to another keyring, and StoreUnavailable."""
    stores = _own_stores(settings, ring)
    try:
        return use_in(stores, progress)
    finally:
        stores.store.close()


def use_in(stores: Stores, progress: Progress) -> KeyUse:
    """The same for an open store."""
    needs: Mapping[str, Mapping[str, int]] = SealedValues(stores.store, stores.scripts).needs(progress)
    return KeyUse(
        readiness.clock_ms(stores.store),
        needs,
        Fleet(stores.store, stores.scripts, stores.keys).live(),
        OptOuts(stores.store, stores.scripts, stores.keys).count(),
    )


def reseal(settings: Settings, ring: Keyring, progress: Progress) -> Resealed:
    """Seal what lasts with the active key; safe while everything runs, and at any time again.

    Raises NotReady if the store belongs to another keyring, or if a process could not open what this makes.
    """
    stores = _own_stores(settings, ring)
    try:
        ring = ring.at(readiness.clock_ms(stores.store))
        _require_known(stores, ring.active_kid)
        sealed = SealedValues(stores.store, stores.scripts)
        return sealed.reseal(ring.active_kid, lambda text: ring.seal(ring.open(text)), progress)
    finally:
        stores.store.close()


def _own_stores(settings: Settings, ring: Keyring) -> Stores:
    stores = open_stores(settings)
    Keyrings(stores.store, stores.keys).judge(ring.fingerprint)
    return stores


def _require_known(stores: Stores, kid: str) -> None:
    use = KeyUse(0, {}, Fleet(stores.store, stores.scripts, stores.keys).live())
    if behind := use.without(kid):
        raise NotReady(
            f"Not every process has the active key {kid} yet ({', '.join(behind)}): it could not open what is sealed "
            "anew. Bring the newest keyring file there, and wait ten seconds."
        )
