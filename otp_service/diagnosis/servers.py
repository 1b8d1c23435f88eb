"""Whether the servers of a Sentinel service or of a Cluster are all there, and could fail over."""

from collections.abc import Iterator

from ..storage import servers_state
from ..storage.store import Store
from .result import CheckResult


def check_servers(store: Store) -> Iterator[CheckResult]:
    """A result for each fault, or one that says what is there; nothing for a single server."""
    if store.sentinels is None and not store.is_cluster:
        return
    faults = [*servers_state.faults(store, addresses=True), *_without_quorum(store)]
    for fault in faults:
        yield CheckResult("servers", False, fault)
    if not faults:
        yield CheckResult("servers", True, servers_state.describe(store))


def _without_quorum(store: Store) -> Iterator[str]:
    if store.sentinels is not None:
        for name, told in store.sentinels.quorum_faults():
            yield f"The sentinel {name} sees no quorum: {told}"
