"""The sends of a worker in an event loop, where they wait for the store; the carrier is called in threads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..domain.delivery import DeliveryReport, SendOutcome
from ..domain.outbox import Job
from ..runtime.sends import LoopedSends
from ..telnyx.gateway import Gateway
from ..usecases.delivery_timers import DeliveryTimers


class CarrierInThreads:
    """The carrier for work of `LoopedSends`. Fits `usecases.ports.Carrier`."""

    def __init__(self, gateway: Gateway, sends: LoopedSends) -> None:
        self._gateway = gateway
        self._call = sends.call
        self.compose = gateway.compose

    def send(self, composed: bytes, *, idempotency_key: str, within_s: float) -> SendOutcome:
        """Send what `compose` made, within these seconds or not."""
        return self._call(partial(self._gateway.send, composed, idempotency_key=idempotency_key, within_s=within_s))

    def fetch_report(self, message_id: str) -> DeliveryReport | None:
        """What became of a message."""
        return self._call(partial(self._gateway.fetch_report, message_id))


@dataclass(frozen=True, slots=True)
class Delivers:
    """Sends in the loop, and timers in the threads of the worker."""

    send: Callable[[Job], None]
    timers: DeliveryTimers
