"""Moving a delivery along: its timers, its failover, and what its record says."""

from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Timer
from otp_service.storage.outbox import GROUP

from .harness import StoreHarness


def come(harness: StoreHarness, ref: Reference, kind: str, ordinal: int = 1) -> Timer:
    """Make a timer that is set come now."""
    shard, timer = harness.keys.shard(ref.number_hash), f"{kind}:{ref.delivery_id(ordinal)}"
    assert timer in harness.timers(ref)
    harness.raw.zadd(harness.keys.timers(shard), {timer: 1})
    return Timer(shard, kind, ref, ordinal)


def wait_on(harness: StoreHarness, ref: Reference, kind: str, ordinal: int = 1) -> float | None:
    """How long a timer still takes, in milliseconds; None if it is not set."""
    at = harness.timers(ref).get(f"{kind}:{ref.delivery_id(ordinal)}")
    return None if at is None else at - harness.now()


def deliveries(harness: StoreHarness, ref: Reference) -> list[tuple[str, str]]:
    """Sender and status of each."""
    record = harness.record(ref)
    return [(record[f"{n}:sender"], record[f"{n}:status"]) for n in range(1, int(record["deliveries"]) + 1)]


def detail(harness: StoreHarness, ref: Reference, event: str) -> list[dict[str, object]]:
    """What the timeline says of each such event."""
    return [dict(entry.detail) for entry in harness.verifications.timeline(ref) if entry.event == event]


def pending(harness: StoreHarness, ref: Reference) -> int:
    """Entries that workers have claimed on the reference's shard."""
    return int(harness.raw.xpending(harness.keys.outbox(harness.keys.shard(ref.number_hash)), GROUP)["pending"])


def queued(harness: StoreHarness, ref: Reference) -> list[str]:
    """The deliveries in the outbox, taken or not."""
    entries = harness.raw.xrange(harness.keys.outbox(harness.keys.shard(ref.number_hash)))
    return [fields["delivery"] for _, fields in entries]


def backdate(harness: StoreHarness, ref: Reference, timer: str) -> None:
    """Make a timer due."""
    assert timer in harness.timers(ref)
    harness.raw.zadd(harness.keys.timers(harness.keys.shard(ref.number_hash)), {timer: 1})
