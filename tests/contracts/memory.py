"""The fakes with the methods of the storage tests' harness, so that one suite is written for both."""

from dataclasses import replace
from typing import Any, cast

from otp_service.domain.delivery import DeliveryStatus
from otp_service.domain.failover import Blamed
from otp_service.domain.guarding import Converted
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, PendingDelivery, Timer
from otp_service.domain.policy import App
from otp_service.domain.starting import StartCommand
from otp_service.domain.verification import Status

from ..fakes import FakeDeliveries, FakeDeliveryReports, FakeSenderRate, FakeVerifications
from ..storage.harness import SHOP, StoreHarness, keyring


class MemoryHarness(StoreHarness):
    """Verifications in memory, and one delivery: that of the entry taken last. Only `age` moves the clock."""

    def __init__(self) -> None:
        self.ring = keyring()
        self.memory = FakeVerifications(subject=self.ring.ids.subject)
        self.delivery = FakeDeliveries(None)
        self.known_reports = FakeDeliveryReports()
        self.verifications = cast("Any", self.memory)
        self.deliveries = self.due_deliveries = cast("Any", self.delivery)
        self.reports = cast("Any", self.known_reports)
        self.sender_rate = cast("Any", FakeSenderRate())
        self._commands: dict[Reference, StartCommand] = {}

    def now(self) -> int:
        """The clock of the fakes."""
        return self.memory.now_ms

    def age(self, ref: Reference, ms: int, *others: Reference) -> None:
        """Let the time pass."""
        self.memory.now_ms += ms
        if self.delivery.pending is not None:
            self.delivery.pending = replace(self.delivery.pending, now_ms=self.now())

    def latest(self, number_hash: str, app: str, purpose: str) -> Reference | None:
        """The number's latest verification for the app and the purpose."""
        return self.memory.newest(number_hash, app, purpose)

    # ---- the one delivery ----

    def start_command(self, number: str, app: App = SHOP, code: str = "314159", **changes: Any) -> StartCommand:
        """A command, which is remembered for its delivery."""
        made = super().start_command(number, app, code, **changes)
        self._commands[made.reference] = made
        return made

    def take(self, ref: Reference, outbox: object = None) -> Job:
        """The first delivery of a verification."""
        command, view = self._commands[ref], self.memory.views[ref]
        first, *rest = command.route
        pending = PendingDelivery(
            view.app,
            first.name,
            view.channel,
            command.locale,
            command.autofill,
            view.expires_ms,
            self.now(),
            command.box,
            False,
            False,
            tuple(sender.name for sender in rest),
            command.kid,
        )
        alike = {
            Blamed.PROFILE: {one.name for one in rest if one.messaging_profile_id == first.messaging_profile_id},
            Blamed.CHANNEL: {one.name for one in rest if one.channel is first.channel},
        }
        place, taken = command.guard_place, command.guard_taken
        guarded = Converted("shop", place.region, place.block_10k, place.block_1k, False, taken) if place else None
        self.delivery = FakeDeliveries(pending, alike=alike, slots=list(command.send_slots), guarded=guarded)
        self.deliveries = self.due_deliveries = cast("Any", self.delivery)
        self.known_reports.statuses[ref, 1] = DeliveryStatus.QUEUED
        return Job(0, "1-0", ref, 1)

    def send(self, ref: Reference, message_id: str = "msg-1") -> Job:
        """Take, begin and have it accepted; view and reports know of it."""
        job = super().send(ref, message_id)
        view = self.memory.views[ref]
        sent = replace(view.deliveries[0], status=DeliveryStatus.SENT, updated_ms=self.now())
        self.memory.views[ref] = replace(view, deliveries=(sent, *view.deliveries[1:]))
        self.known_reports.statuses[ref, 1] = DeliveryStatus.SENT
        self.known_reports.messages[ref.number_hash, message_id] = ref, 1
        return job

    def requeue(self, ref: Reference, ordinal: int = 1) -> Job:
        """Let the retry's wait be over; the entry that follows."""
        self.delivery.come("retry")
        assert self.delivery.requeue(Timer(0, "retry", ref, ordinal)), "nothing to put back"
        return Job(0, "2-0", ref, ordinal)

    def status(self, ref: Reference, ordinal: int = 1) -> str:
        """Where the delivery stands."""
        return self.delivery.status


def status(stores: StoreHarness, ref: Reference) -> Status:
    """Where the verification stands."""
    view = stores.verifications.view(ref, None)
    assert view is not None
    return view.status


def come(stores: StoreHarness, ref: Reference, kind: str) -> Timer:
    """Let a timer of the first delivery come that is set."""
    if isinstance(stores, MemoryHarness):
        stores.delivery.come(kind)
        return Timer(0, kind, ref, 1)
    shard, timer = stores.keys.shard(ref.number_hash), f"{kind}:{ref.delivery_id(1)}"
    # The one for its closing is set at the code's end.
    assert kind == "closing" or timer in stores.timers(ref)
    stores.raw.zadd(stores.keys.timers(shard), {timer: 1})
    return Timer(shard, kind, ref, 1)


def failed_over(stores: StoreHarness, ref: Reference) -> bool:
    """Whether the first delivery's code went to the next sender."""
    if isinstance(stores, MemoryHarness):
        return stores.delivery.failed_over
    return stores.record(ref)["deliveries"] == "2"
