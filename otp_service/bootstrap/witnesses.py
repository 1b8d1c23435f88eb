"""Taking a witness away from the log of this machine: it goes on record first."""

from ..config import Settings
from ..domain.audit import EventType
from .signed_log import own_log
from .stores import open_keyring, open_stores


def remove_witness(settings: Settings, wanted: str) -> list[str]:
    """Remove the witnesses of this name, or with this verifier key; their keys.

    Raises ConfigError, LedgerUnavailable and StoreUnavailable; then a key that is on record may still be there.
    """
    with own_log(settings) as own:
        found = [one for one in own.witnesses() if wanted.strip() in (one.name, one.key)]
        stores = open_stores(settings, open_keyring(settings))
        try:
            for one in found:
                stores.audit.record(EventType.WITNESS_REMOVED, {"witness": one.name, "key": one.key})
                own.remove_witness(one.key)
        finally:
            stores.store.close()
    return [one.key for one in found]
