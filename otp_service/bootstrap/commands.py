"""What single commands need. Each opens the store by itself."""

from ..config import Settings
from ..domain.factors import MAY_BIND_MS
from ..domain.ids import Ids
from ..storage.api_keys import ApiKeys
from ..storage.audit_log import AuditLog
from ..storage.callbacks import Callbacks
from ..storage.dead_letters import DeadLetters
from ..storage.factors import FactorTable
from ..storage.keyrings import Keyrings
from ..storage.replicas import Replicas
from ..usecases.subjects import Subjects
from .stores import open_keyring, open_stores


def build_api_keys(settings: Settings) -> ApiKeys:
    """The API keys."""
    return open_stores(settings).api_keys


def build_audit(settings: Settings) -> AuditLog:
    """The audit log."""
    return open_stores(settings).audit


def build_ids(settings: Settings) -> Ids | None:
    """The keyed hashes of numbers; None without a keyring. Raises ConfigError."""
    return open_keyring(settings).ids if settings.keyring_path is not None else None


def accept_keyring(settings: Settings) -> str:
    """Mark a store that knows no keyring as this one's; the fingerprint of the index key.

    Raises NotReady if it knows others only.
    """
    keyring, stores = open_keyring(settings), open_stores(settings)
    try:
        Keyrings(stores.store, stores.keys).claim(keyring.current().fingerprint)
    finally:
        stores.store.close()
    return keyring.current().fingerprint


def build_callbacks(settings: Settings) -> Callbacks:
    """The queues of callbacks."""
    stores = open_stores(settings)
    kept_ms = settings.policy.retention.dead_letters_ms
    return Callbacks(stores.store, stores.scripts, stores.keys, dead_kept_ms=kept_ms)


def lift_subject(settings: Settings, app: str, subject: str, reason: str, *, number: bool = False) -> int:
    """Take away a subject's wrong codes in a row; how many there were. Raises InvalidRequest and StoreUnavailable.

    `number`: they stay, and the subject may bind another number without proof for an hour.
    """
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    try:
        table = FactorTable(stores.store, stores.scripts, stores.keys, keyring.ids)
        return table.lift(Subjects(keyring).of(app, subject), reason, bind_ms=MAY_BIND_MS if number else None)
    finally:
        stores.store.close()


def build_replicas(settings: Settings) -> Replicas:
    """The replicas of the store's servers."""
    return open_stores(settings).replicas


def build_dead_letters(settings: Settings) -> DeadLetters:
    """What workers could not read. Needs the keyring. Raises ConfigError."""
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    return DeadLetters(stores.store, stores.scripts, stores.keys, keyring.ids)
