"""What starts take on other shards than their number's."""

from ..domain.policy import Slot
from ..domain.prices import ExpectedCost
from ..storage.limits import Limits
from ..storage.outer import Outer
from ..storage.spend import ExpectedCosts
from .stores import Stores


def outer_of(stores: Stores) -> Outer:
    """Takes and gives back, each kind of thing in its own way."""
    limits = Limits(stores.keys, is_cluster=stores.store.is_cluster)
    return Outer(stores.scripts, {Slot: limits, ExpectedCost: ExpectedCosts(stores.keys)})
