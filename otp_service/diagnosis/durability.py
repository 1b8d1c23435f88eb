"""Whether the store keeps what it was told when it is killed or restarted."""

from ..domain.errors import ServiceError
from ..storage import readiness
from ..storage.store import Store
from .result import CheckResult

OFF = (
    "the append-only file is off: after a restart the store has forgotten codes, opt-outs, budgets and API keys; set "
    "appendonly yes (deploy/redis.conf)"
)
FAILING = "the append-only file cannot be written; look at the store's disk and its log"


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
