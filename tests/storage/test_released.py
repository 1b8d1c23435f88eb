"""When a sender answers again: what its breaker made wait goes on at once, spread over its rate."""

from dataclasses import replace

from otp_service.domain.circuit import TRIPS_AFTER, Fault
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import App
from tests.conftest import wait_until

from .deliveries import wait_on
from .delivery_service import Service
from .harness import POOL, StoreHarness, fresh_number, word

ALONE = App("shop", "Acme", (replace(POOL, rate_per_s=4.0),))
CIRCUIT = "sender:pool"


def process(harness: StoreHarness) -> Service:
    """A worker that has asked nothing yet."""
    return Service(StoreHarness(harness.store, harness.keys, harness.scripts, harness.ring), ALONE)


def test_what_waited_goes_on_when_the_breaker_closes(harness: StoreHarness) -> None:
    """In one process a message finds that the sender is well; another one's messages need not wait for the next probe.

    While they wait they take nothing of the rate.
    """
    waiting, probing = process(harness), process(harness)
    for _ in range(TRIPS_AFTER):
        waiting.harness.circuits.record_fault(Fault(CIRCUIT, "connect"), word())
    later = harness.now() + 60_000  # however slow this machine is
    key = harness.keys.circuit(CIRCUIT)
    harness.raw.hset(key, mapping={"open_until_ms": later, "next_probe_ms": later})
    refs = [waiting.start() for _ in range(5)]
    assert [waiting.outcomes(ref) for ref in refs] == [[("pool", "queued")]] * 5
    assert harness.raw.get(harness.keys.sender_rate("pool")) is None
    assert waiting.deliver.held.released() == []
    harness.raw.hset(key, mapping={"open_until_ms": 1, "next_probe_ms": 1})
    assert probing.outcomes(probing.start()) == [("pool", "sent")]
    released: list[tuple[Timer, int]] = []

    def are_released() -> bool:
        released.extend(waiting.deliver.held.released())
        return bool(released)

    wait_until(are_released, 30)
    told = {(timer.kind, timer.reference): in_ms for timer, in_ms in released}
    assert [told["retry", ref] for ref in refs] == [0, 250, 500, 750, 1_000]
    waiting.harness.due_timers.come_sooner(released)
    assert [(wait_on(harness, ref, "retry") or 0.0) <= 1_000 for ref in refs] == [True] * 5


def test_a_timer_is_brought_forward_only(harness: StoreHarness) -> None:
    """One that comes sooner stays, one that is not set is not made."""
    ref = harness.start(fresh_number()).reference
    shard, before = harness.keys.shard(ref.number_hash), harness.timers(ref)
    timers = [(Timer(shard, "retry", ref, 1), 0), (Timer(shard, "failover", ref, 1), 10**9)]
    harness.due_timers.come_sooner(timers)
    assert harness.timers(ref) == before
    harness.due_timers.come_sooner([(Timer(shard, "expiry", ref, 0), 0)])
    assert harness.timers(ref)[f"expiry:{ref.token}"] <= harness.now()
