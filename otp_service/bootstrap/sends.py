"""What a worker does with its queue: sends in an event loop, timers in threads."""

from collections.abc import Callable
from dataclasses import dataclass

from ..domain.outbox import Job
from ..usecases.delivery_timers import DeliveryTimers
from ..usecases.held_deliveries import HeldDeliveries


@dataclass(frozen=True, slots=True)
class Delivers:
    """`send` runs in the loop, `timers` in the worker's threads; `held` is what both know."""

    send: Callable[[Job], None]
    timers: DeliveryTimers
    held: HeldDeliveries
