"""What starts take on other shards than their number's."""

from ..domain.policy import Slot
from ..storage.limits import Limits
from ..storage.outer import Outer
from .stores import Stores


def outer_of(stores: Stores) -> Outer:
    """Takes and gives back, each kind of thing in its own way."""
    return Outer(stores.scripts, {Slot: Limits(stores.keys, is_cluster=stores.store.is_cluster)})
