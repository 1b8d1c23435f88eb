"""The checks of `/readyz`: each returns a reason, raises one, or returns None if all is well."""

from collections.abc import Callable, Sequence

from ..domain.errors import NotReady, StoreUnavailable
from ..keyring_reload import ReloadedKeyring
from ..storage import readiness, servers_state
from ..storage.keyrings import Keyrings
from ..storage.memory import fullest
from ..storage.store import Store
from ..web.readiness import Check
from .stores import Stores, join


def checks(stores: Stores, keyring: ReloadedKeyring) -> Sequence[tuple[str, Check]]:
    """Name and check, in the order in which they are reported."""
    store = stores.store
    return (
        ("store", lambda: readiness.ping(store)),
        ("servers", lambda: " ".join(servers_state.faults(store)) or None),
        ("writes", lambda: _dead_shards(stores)),
        ("eviction", lambda: readiness.require_no_eviction(store)),
        ("run", lambda: stores.runs.warning),
        ("replicas", lambda: _without_replicas(stores)),
        ("memory", lambda: _nearly_full(stores)),
        ("shards", _if_answered(store, lambda: readiness.fix_shards(store, stores.keys))),
        ("keyring", _if_answered(store, lambda: _require_keyring(stores, keyring))),
    )


def _dead_shards(stores: Stores) -> str | None:
    dead = readiness.dead_shards(stores.store, stores.keys)
    names = ", ".join(f"s{shard:02x}" for shard in dead)
    return f"{len(dead)} of {stores.keys.shards} shards take no writes: {names}" if dead else None


def _without_replicas(stores: Stores) -> str | None:
    """Raise NotReady if no shard has the replicas that must have what callers are told."""
    # Beside the shards the API keys have a place of their own, which serves no numbers.
    missing = stores.known.guard.missing_of(map(stores.keys.run, range(stores.keys.shards)))
    if not missing:
        return None
    detail = f"Too few replicas follow: {missing} of {stores.keys.shards} shards take no starts and no checks."
    if missing == stores.keys.shards:
        raise NotReady(detail)
    return detail


def _nearly_full(stores: Stores) -> str | None:
    memory = fullest(stores.store)
    return memory.warning if memory else None


def _if_answered(store: Store, check: Callable[[], None]) -> Check:
    """A check of what was true at the start. If its shard of a Cluster is dead it only warns: other shards work."""

    def run() -> str | None:
        try:
            check()
        except StoreUnavailable as error:
            if not store.is_cluster:
                raise
            return error.detail
        return None

    return run


def _require_keyring(stores: Stores, keyring: ReloadedKeyring) -> None:
    """Raise NotReady if the keyring file is unusable now, or the store belongs to another keyring now."""
    join(stores.store, Keyrings(stores.store, stores.keys), keyring)
    fault = keyring.fault
    if fault is not None:
        raise NotReady(f"{fault} The keys read before are used.")
