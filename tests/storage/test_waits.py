"""Whatever a message waits for, in whatever order: unsent at its code's end it is expired, with the last reason."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otp_service.domain.delivery import LIMITED, TOO_LATE, NotSent
from otp_service.domain.operation import Due, Job
from otp_service.domain.policy import App
from otp_service.domain.verification import Reference

from .house import POOL, House, fresh_number

ALONE = App("shop", "Acme", (POOL,))
NOBODY = "no worker took it up in time"
RATE = "the sender had no free place at its rate"
REASONS = {
    "429": LIMITED,
    "connect": "no connection (ConnectError)",
    "pause": "a pause",
    "too late": TOO_LATE,
    "turn": RATE,
}
ENDS = ("begin", "no turn", "no sender", "close", "unread")


def wait(house: House, job: Job, kind: str) -> None:
    """Let the message wait once more."""
    if kind == "turn":
        house.outbox.wait_turn(job, 1_000)
    elif kind == "pause":
        house.outbox.held(job, "sender_down", "a pause", 1_000)
    else:
        house.must_begin(job, ALONE)
        house.outbox.retry_later(job, 1_000, NotSent(REASONS[kind]))


def end(house: House, job: Job, ref: Reference, kind: str) -> None:
    """What a worker or a timer does with it after the end of its code."""
    if kind == "begin":
        assert house.begin(job, ALONE, "") is None
    elif kind == "no turn":
        house.outbox.impossible(job, "sender_busy", "The sender's rate leaves no room before the code expires.")
    elif kind == "no sender":
        house.outbox.impossible(job, "sender_missing", "The sender or app is no longer configured.")
    if kind in ("close", "unread"):
        shard = house.keys.shard(ref.number_hash)
        house.age(ref, 40_000)  # later still
        house.raw.zadd(house.keys.timers(shard), {f"c:{ref.delivery_id(1)}": 1})
        assert house.outbox.close(Due(shard, "c", ref, 1)) == "expired"


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waits=st.lists(st.sampled_from(sorted(REASONS)), max_size=4), kind=st.sampled_from(ENDS))
def test_what_ran_out_unsent_is_expired_with_its_reason(server_house: House, waits: list[str], kind: str) -> None:
    """Nothing else that is true by then (no turn, no sender) is told instead."""
    house = server_house
    ref = house.start(fresh_number(), ALONE).reference
    job = house.take(ref)
    for each in waits:
        wait(house, job, each)
        job = house.requeue(ref)
    house.age(ref, 300_001)
    end(house, job, ref, kind)
    record = house.record(ref)
    assert (record["1:st"], record["1:ec"]) == ("expired", "code_expired")
    assert record["1:et"] == f"The code ran out before the message could be sent: {expected(waits, kind)}."
    assert house.events(ref).count("delivery.expired") == 1
