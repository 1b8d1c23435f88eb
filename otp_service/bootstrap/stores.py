"""Opening the store and the keyring, and making sure that the two belong together."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from .. import config
from ..clock import clock_ms
from ..config import Settings
from ..domain.errors import NotReady, StoreUnavailable
from ..keyring_reload import ReloadedKeyring
from ..storage import connect, readiness
from ..storage.api_keys import ApiKeys
from ..storage.audit_backlog import AuditBacklog, KnownBacklog
from ..storage.audit_log import AuditLog
from ..storage.callers import set_policy
from ..storage.circuit_states import KnownCircuits
from ..storage.keyrings import Keyrings
from ..storage.known_api_keys import KnownApiKeys
from ..storage.refusals import what_it_does
from ..storage.replica_guard import ReplicaGuard
from ..storage.replicas import Replicas
from ..storage.safe_list import KnownSafeList
from ..storage.schema import Keys
from ..storage.scripts import Scripts
from ..storage.servers_state import faults
from ..storage.store import Store
from ..storage.store_runs import END_CODES, StoreRuns
from ..storage.told import Told
from ..usecases.guard import Notes
from .configuration import configuration_hash


@dataclass(frozen=True, slots=True)
class Known:
    """What this process knows without asking the store."""

    api_keys: KnownApiKeys = field(default_factory=KnownApiKeys)
    circuits: KnownCircuits = field(default_factory=KnownCircuits)
    told: Told = field(default_factory=Told)
    guard: ReplicaGuard = field(default_factory=ReplicaGuard)
    safe_list: KnownSafeList = field(default_factory=KnownSafeList)
    guard_notes: Notes = field(default_factory=Notes)
    backlog: KnownBacklog = field(default_factory=KnownBacklog)


@dataclass(frozen=True, slots=True)
class Stores:
    """One open connection to the store, and the parts over it that every process needs."""

    store: Store
    keys: Keys
    scripts: Scripts
    audit: AuditLog
    api_keys: ApiKeys
    known: Known
    runs: StoreRuns
    replicas: Replicas
    backlog: AuditBacklog


def open_stores(
    settings: Settings, keyring: ReloadedKeyring | None = None, make_scripts: Callable[[Store], Scripts] = Scripts
) -> Stores:
    """Open the store. Check that it answers, never evicts, has our number of shards and belongs to this keyring."""
    set_policy(configuration_hash(settings))
    store = connect.connect(settings.redis_url)
    keys = Keys(settings.shards)
    _require_answer(store, settings.redis_url)
    readiness.require_no_eviction(store)
    readiness.fix_shards(store, keys)
    if keyring is not None:
        _begin(store, Keyrings(store, keys), keyring)
    stores = parts_over(
        store,
        keys,
        make_scripts,
        after_restart=settings.after_restart,
        replicas=settings.expected_replicas,
        backlog_max=settings.audit_backlog_max,
    )
    stores.replicas.look()
    return stores


def parts_over(
    store: Store,
    keys: Keys,
    make_scripts: Callable[[Store], Scripts] = Scripts,
    known: Known | None = None,
    *,
    after_restart: str = END_CODES,
    replicas: int | None = 0,
    backlog_max: int = 0,
) -> Stores:
    """The parts over a store that is open. `known` is shared with other parts of this process."""
    scripts, known = make_scripts(store), known or Known()
    scripts.guard = known.guard
    audit = AuditLog(store, scripts, keys)
    api_keys = ApiKeys(
        store,
        scripts,
        keys,
        audit,
        token_hex=secrets.token_hex,
        token_urlsafe=secrets.token_urlsafe,
        known=known.api_keys,
    )
    runs = StoreRuns(store, scripts, keys, known.told, after_restart)
    counting = Replicas(store, scripts, keys, known.guard, replicas)
    backlog = AuditBacklog(store, keys, known.backlog, backlog_max)
    return Stores(store, keys, scripts, audit, api_keys, known, runs, counting, backlog)


def _require_answer(store: Store, url: str) -> None:
    try:
        readiness.ping(store)
    except StoreUnavailable as error:
        where, does = connect.masked(url), what_it_does(error)
        told = [f"The store at {where} {does}; OTP_REDIS_URL names it.", *faults(store, addresses=True)]
        raise StoreUnavailable(" ".join(told)) from error


def _begin(store: Store, keyrings: Keyrings, keyring: ReloadedKeyring) -> None:
    keyrings.begin(keyring.ids.fingerprint)
    join(store, keyrings, keyring)


def join(store: Store, keyrings: Keyrings, keyring: ReloadedKeyring) -> None:
    """Raise NotReady if the store belongs to another keyring now; mark it as ours if it was emptied.

    As long as it is another's, this keyring serves nobody: no opt-out and no budget would be found.
    """
    keyring.set_clock(readiness.clock_ms(store))
    try:
        keyrings.claim(keyring.ids.fingerprint)
    except NotReady as error:
        keyring.refuse(error.detail)
        raise
    keyring.refuse(None)
    keyring.register(keyrings.register)


def open_keyring(settings: Settings) -> ReloadedKeyring:
    """The keyring of this process. Raises ConfigError."""
    config.load_keyring(settings)  # its error says what is missing
    path = settings.keyring_path
    assert path is not None
    return ReloadedKeyring(path, partial(config.load_keyring, settings), monotonic=time.monotonic, now_ms=clock_ms)
