"""The fakes with the methods of the storage tests' harness, so that one suite can be written for both."""

from dataclasses import replace
from typing import Any, cast

from otp_service.domain.delivery import DeliveryStatus
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job

from ..fakes import FakeVerifications
from ..storage.harness import StoreHarness, keyring


class MemoryHarness(StoreHarness):
    """Verifications in memory. Its clock moves with `age` only."""

    def __init__(self) -> None:
        self.ring = keyring()
        self.memory = FakeVerifications()
        self.verifications = cast("Any", self.memory)

    def close(self) -> None:
        """Nothing is open."""

    def now(self) -> int:
        """The clock of the fake."""
        return self.memory.now_ms

    def age(self, ref: Reference, ms: int, *others: Reference) -> None:
        """Let the time pass."""
        self.memory.now_ms += ms

    def send(self, ref: Reference, message_id: str = "msg-1") -> Job:
        """The first message is sent."""
        view = self.memory.views[ref]
        sent = replace(view.deliveries[0], status=DeliveryStatus.SENT, updated_ms=self.now())
        self.memory.views[ref] = replace(view, deliveries=(sent, *view.deliveries[1:]))
        return Job(0, "1-0", ref, 1)
