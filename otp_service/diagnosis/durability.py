"""Whether the store keeps what it was told when it is killed or restarted."""

from collections.abc import Iterator

from ..domain.errors import ServiceError
from ..storage import readiness
from ..storage.store import Store
from .result import CheckResult

OFF = (
    "the append-only file is off: after a restart the store has forgotten codes, opt-outs, budgets and API keys; set "
    "appendonly yes (deploy/redis.conf)"
)
FAILING = "the append-only file cannot be written; look at the store's disk and its log"
BLIND = (
    "the store's user may not run INFO: after a restart from an older file, codes that were used would be good again; "
    "give it the right (+info)"
)
RESTARTS = {
    "keep_codes": "codes outlive a restart of the store if nothing was lost",
    "end_codes": "a restart or a failover of the store ends the codes that are pending",
}


def check_durability(store: Store) -> CheckResult:
    """Each server that answers must append its writes to a file, and be able to."""
    try:
        servers = readiness.persistence(store)
    except ServiceError as error:
        return CheckResult("durability", False, error.detail)
    if not all(server.appends for server in servers):
        return CheckResult("durability", False, OFF)
    if not all(server.writes_well for server in servers):
        return CheckResult("durability", False, FAILING)
    return CheckResult("durability", True, f"the append-only file is on (servers asked: {len(servers)})")


def check_restarts(store: Store, after_restart: str) -> CheckResult:
    """The scripts must be able to ask which run of the store this is."""
    try:
        told = readiness.server_info(store, "replication")
    except ServiceError:
        return CheckResult("restarts", False, BLIND)
    if not all(server.get("master_replid") for server in told):
        return CheckResult("restarts", False, BLIND)
    return CheckResult("restarts", True, RESTARTS[after_restart])


def check_replicas(expected: int | None, missing: int, alone: int, silent: int = 0) -> Iterator[CheckResult]:
    """As many replicas as ever must follow. `expected`: see `Settings`.

    `missing`: shards with too few; `alone`: shards whose server none has to follow. `silent`: shards that
    do not answer.
    """
    if expected == 0:
        return
    if missing:
        detail = f"too few replicas follow: {missing} shards take no starts and no checks; see [store] replicas"
        yield CheckResult("replicas", False, detail)
    elif silent:
        detail = f"{silent} shards do not answer: what follows them is not known"
        yield CheckResult("replicas", False, detail)
    elif alone:
        detail = f"writes wait for the replicas that follow; {alone} shards have none"
        yield CheckResult("replicas", True, detail)
    else:
        yield CheckResult("replicas", True, "all replicas follow, and writes wait for them")
