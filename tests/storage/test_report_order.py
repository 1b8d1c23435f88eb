"""Reports, responses and timers of a delivery, in any order and repeated: one end, by rank, and one claim at most."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.delivery import Accepted, DeliveryReport, Unknown
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import App

from .harness import BACKUP, POOL, SAME_PROFILE, StoreHarness, fresh_number

TRIO = App("shop", "Acme", (POOL, SAME_PROFILE, BACKUP))
ORDER = ("sending", "sent", "unconfirmed", "failed", "delivered")
WORDS = {
    "queued": ("sent", 0),
    "sending": ("sent", 1),
    "sent": ("sent", 2),
    "delivery_unconfirmed": ("unconfirmed", 3),
    "delivery_failed": ("failed", 4),
    "delivered": ("delivered", 5),
}
EVENTS = (*WORDS, *(f"asked: {each}" for each in WORDS), "accepted", "answer lost", "failover", "close")


@dataclass
class Model:
    """One delivery that has been begun, by the contract's words alone."""

    place: int = 0
    lost: bool = False
    reported: int = -1  # the rank of the newest status that the carrier reported
    claimed: bool = False
    over: bool = False  # the code's time
    waiting: bool = True  # for the time to be sent in
    asked: bool = False

    def reach(self, status: str) -> bool:
        """Move up; whether it did."""
        moved = ORDER.index(status) > self.place
        self.place = max(self.place, ORDER.index(status))
        return moved

    def claim(self) -> None:
        """The next sender is asked, unless it was before or the code is of no use any more."""
        if not self.over:
            self.claimed, self.waiting = True, False

    def apply(self, event: str) -> None:
        """What an event makes of it."""
        said = event.removeprefix("asked: ")
        if said in WORDS:
            status, far = WORDS[said]
            self.reported = max(self.reported, far)
            if self.reach(status) and status == "failed":
                self.claim()
        elif event == "accepted":
            self.reach("sent")
        elif event == "answer lost":
            self.lost = self.lost or self.place == 0
        elif event == "close":
            self.over = True
            self.reach("unconfirmed")
        elif self.waiting and not self.claimed:
            self.failover()

    def failover(self) -> None:
        """It should have been sent by now."""
        if self.over or self.place > 1:
            self.waiting = False
        elif self.place == 0:
            if self.lost:
                self.claim()  # else the request is under way, and is waited for
        elif self.reported >= 2:
            self.waiting = False
        elif not self.asked:
            self.asked = True
        elif self.reported >= 0:
            self.claim()
        else:
            self.waiting = False

    @property
    def status(self) -> str:
        """As the record should have it."""
        return "unknown" if self.place == 0 and self.lost else ORDER[self.place]


def apply(harness: StoreHarness, ref: Reference, event: str) -> None:
    """Let it happen in the store."""
    shard, timers = harness.keys.shard(ref.number_hash), harness.timers(ref)
    said = event.removeprefix("asked: ")
    if said in WORDS:
        harness.apply_report(ref, DeliveryReport("msg-1", "+1", said))
    elif event == "failover":
        if f"failover:{ref.delivery_id(1)}" in timers:
            harness.raw.zadd(harness.keys.timers(shard), {f"failover:{ref.delivery_id(1)}": 1})
        harness.due_deliveries.claim_failover(Timer(shard, "failover", ref, 1))
    elif event == "close":
        harness.age(ref, 400_000)
        harness.verifications.expire(ref)
        if f"closing:{ref.delivery_id(1)}" in harness.timers(ref):
            harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
        harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1))


@settings(max_examples=250)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=14))
def test_any_order_ends_by_rank_and_claims_once(server_harness: StoreHarness, events: list[str]) -> None:
    """Reports, polls, the send's own answer and both timers, left out, repeated and mixed: the model's end, each step.

    The end of the first delivery depends on what was reported and not on when; a late `delivered` wins; the next sender
    is claimed once at most, and a claim is never undone.
    """
    harness, model = server_harness, Model()
    ref = harness.start(fresh_number(), TRIO).reference
    (job,) = [job for job in harness.jobs(ref) if job.reference == ref]
    harness.must_begin(job, TRIO)
    for event in events:
        if event == "accepted":
            harness.deliveries.record_accepted(job, Accepted("msg-1", "queued"))
        elif event == "answer lost":
            harness.deliveries.record_unknown(job, 60_000, Unknown("read timeout"))
        else:
            apply(harness, ref, event)
        model.apply(event)
        record = harness.record(ref)
        assert (record["1:status"], record["deliveries"]) == (model.status, "2" if model.claimed else "1")
    ends = [ORDER.index(WORDS[said][0]) for each in events if (said := each.removeprefix("asked: ")) in WORDS]
    ends += [ORDER.index(end) for name, end in {"accepted": "sent", "close": "unconfirmed"}.items() if name in events]
    assert model.place == max(ends, default=0)
    assert harness.events(ref).count("delivery.fell_back") == model.claimed
    assert harness.record(ref).get("2:status", "queued") == "queued"
