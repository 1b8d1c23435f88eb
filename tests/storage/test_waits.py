"""Whatever a message waits for, in whatever order: unsent at its code's end it is expired, with the last reason."""

from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.delivery import LIMITED, TOO_LATE, NotSent
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import App

from .harness import POOL, StoreHarness, fresh_number

ALONE = App("shop", "Acme", (POOL,))
NOBODY = "no worker took it up in time"
RATE = "the sender had no free slot in its rate"
REASONS = {
    "429": LIMITED,
    "connect": "no connection (ConnectError)",
    "pause": "a pause",
    "too late": TOO_LATE,
    "turn": RATE,
}
ENDS = ("begin", "no turn", "no sender", "close", "unread")


def wait(harness: StoreHarness, job: Job, kind: str) -> None:
    """Let the message wait once more."""
    if kind == "turn":
        harness.deliveries.record_rate_wait(job, 1_000)
    elif kind == "pause":
        harness.deliveries.record_held(job, "sender_down", "a pause", 1_000)
    else:
        harness.must_begin(job, ALONE)
        harness.deliveries.record_retry(job, 1_000, NotSent(REASONS[kind]))


def end(harness: StoreHarness, job: Job, ref: Reference, kind: str) -> None:
    """What a worker or a timer does with it after the end of its code."""
    if kind == "begin":
        assert harness.begin(job, ALONE, "") is None
    elif kind == "no turn":
        harness.deliveries.record_impossible(
            job, "sender_busy", "The sender's rate leaves no room before the code expires."
        )
    elif kind == "no sender":
        harness.deliveries.record_impossible(job, "sender_missing", "The sender or app is no longer configured.")
    if kind in ("close", "unread"):
        shard = harness.keys.shard(ref.number_hash)
        harness.age(ref, 40_000)  # later still
        harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
        assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) == "expired"


def expected(waits: list[str], kind: str) -> str:
    """The reason by the words of the promise: what stood in the way last; of the vague ones the first."""
    why = ""
    for each in waits:
        why = REASONS[each] if each not in ("turn", "too late") or not why else why
    if not why and kind == "no turn":
        return "The sender's rate leaves no room before the code expires"
    if not why and kind == "no sender":
        return "The sender or app is no longer configured"
    return why or NOBODY


@settings(max_examples=60)
@given(waits=st.lists(st.sampled_from(sorted(REASONS)), max_size=4), kind=st.sampled_from(ENDS))
def test_what_ran_out_unsent_is_expired_with_its_reason(
    server_harness: StoreHarness, waits: list[str], kind: str
) -> None:
    """Nothing else that is true by then (no turn, no sender) is reported instead."""
    harness = server_harness
    ref = harness.start(fresh_number(), ALONE).reference
    job = harness.take(ref)
    for each in waits:
        wait(harness, job, each)
        job = harness.requeue(ref)
    harness.age(ref, 300_001)
    end(harness, job, ref, kind)
    record = harness.record(ref)
    assert (record["1:status"], record["1:error_code"]) == ("expired", "code_expired")
    assert record["1:error_title"] == f"The code ran out before the message could be sent: {expected(waits, kind)}."
    assert harness.events(ref).count("delivery.expired") == 1
