"""How many requests a second an installation can take, from what one request costs: the model of the sizing guide.

A request costs CPU of an API process, and CPU of the one primary that holds its number. Nothing else grows with the
number of processes or primaries: a request is one call of one script on one node. So what binds is the first of: the
API's cores, the busiest primary (it has one thread), and on a machine that they share, all of its cores.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Cost(NamedTuple):
    """CPU of one request in microseconds: of the API, of the store, and of the load generator beside them."""

    api: float
    store: float
    load: float = 0.0


def requests_per_s(cost: Cost, *, api_processes: int, shares: Sequence[float], shared_cores: float) -> float:
    """The most requests a second. `shares`: of each primary in all calls; 1.0 for a single server.

    `shared_cores` are the cores of the machine on which all of it runs, the load generator as well; infinite where
    each has a machine of its own.
    """
    bounds = [1e6 / (cost.store * max(shares)), shared_cores * 1e6 / (cost.api + cost.store + cost.load)]
    if cost.api:
        bounds.append(api_processes * 1e6 / cost.api)
    return min(bounds)
