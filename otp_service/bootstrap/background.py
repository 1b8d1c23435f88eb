"""What a process reads in the background: API keys, breakers, the store's run, its replicas, the audit backlog."""

from collections.abc import Callable
from functools import partial

from ..domain import circuit
from ..domain.policy import Policy
from ..storage.background import BackgroundReading
from ..storage.circuit_states import READ_BEHIND_FOR_S
from ..storage.circuits import Circuits
from .stores import Stores


def read_in_background(
    stores: Stores, policy: Policy, *also: Callable[[], object], api_keys: bool
) -> BackgroundReading:
    """Reads for everything over `stores.known` once it is started: here, or by the first who needs it.

    `stores` works in threads, not in an event loop. `also` is done beside it.
    """
    known = stores.known
    readings: list[Callable[[], object]] = [
        stores.runs.look,
        stores.replicas.look,
        partial(_circuits(stores).refresh, _every_scope(policy)),
    ]
    if api_keys:
        readings += [stores.api_keys.refresh, stores.backlog.look]
    reading = BackgroundReading([*readings, *also])
    known.api_keys.is_stale = known.circuits.is_stale = reading.start
    known.circuits.for_s = READ_BEHIND_FOR_S
    return reading


def _circuits(stores: Stores) -> Circuits:
    return Circuits(stores.store, stores.scripts, stores.keys, stores.known.circuits)


def _every_scope(policy: Policy) -> list[str]:
    return list(dict.fromkeys(scope for sender in policy.senders.values() for scope in circuit.scopes(sender)))
