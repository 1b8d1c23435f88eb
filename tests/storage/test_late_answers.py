"""What happens at the edges of time: late answers, repeats, and what a number's hash forgets."""

from collections.abc import Callable

import pytest

from otp_service.domain.delivery import NotSent, Unknown
from otp_service.domain.outbox import Job
from otp_service.domain.policy import MAX_CONSECUTIVE_WRONG, TOMBSTONE_MS
from otp_service.storage.schema.encodings import LatestEntry
from otp_service.storage.schema.fields import Number

from .about import about
from .deliveries import come, wait_on
from .harness import StoreHarness, fresh_number

Late = Callable[[StoreHarness, Job], object]
LATE: dict[str, Late] = {
    "not sent": lambda harness, job: harness.deliveries.record_retry(job, 60_000, NotSent("refused")),
    "unknown": lambda harness, job: harness.deliveries.record_unknown(job, 60_000, Unknown("read timeout")),
}


def waiting_for_its_answer(harness: StoreHarness) -> Job:
    """A try is under way when the time to send in is over: the failover waits ten seconds for the answer."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    assert harness.due_deliveries.claim_failover(come(harness, ref, "failover")) is None
    assert wait_on(harness, ref, "failover") == about(10_000)
    return job


@pytest.mark.parametrize("answer", LATE)
def test_a_late_answer_ends_the_wait_for_it(harness: StoreHarness, answer: str) -> None:
    """The failover is due at once, as the time to send in is over."""
    job = waiting_for_its_answer(harness)
    created = harness.record(job.reference)["created_ms"]
    harness.set_record(job.reference, {"created_ms": int(created) - 120_000})
    LATE[answer](harness, job)
    assert (wait_on(harness, job.reference, "failover") or 0) <= 0


@pytest.mark.parametrize("answer", LATE)
def test_an_early_answer_leaves_the_time_to_send_in(harness: StoreHarness, answer: str) -> None:
    """The failover comes no earlier than it would have without the wait."""
    job = waiting_for_its_answer(harness)
    before = wait_on(harness, job.reference, "failover")
    LATE[answer](harness, job)
    after = wait_on(harness, job.reference, "failover")
    assert before is not None
    assert after is not None
    assert 5_000 < after <= before


def test_a_hundred_wrong_codes_in_a_row_stop_the_send(harness: StoreHarness) -> None:
    """The worker looks at them too: what was queued before is not sent."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.set_in_a_row(ref.number_hash, "shop", MAX_CONSECUTIVE_WRONG)
    assert harness.begin(job) is None
    record = harness.record(ref)
    assert (record["1:status"], record["1:error_code"]) == ("suppressed", "too_many_wrong_codes")
    other = harness.start(fresh_number()).reference
    harness.set_in_a_row(other.number_hash, "shop", MAX_CONSECUTIVE_WRONG - 1)
    assert harness.begin(harness.take(other)) is not None


def test_a_repeat_prolongs_the_record_its_secrets_and_the_numbers_memory(harness: StoreHarness) -> None:
    """The timeline and the index live until the end of the tombstone, the secrets until the new end."""
    number = fresh_number()
    ref = harness.start(number).reference
    keys = [harness.keys.record(ref), harness.keys.secrets(ref), harness.keys.number(ref.number_hash)]
    harness.age(ref, 100_000)
    harness.cool(ref)
    for key in keys:
        harness.raw.pexpire(key, 60_000)
    harness.raw.hset(keys[2], Number.ENDS, harness.now() + 60_000)
    assert harness.start(number).reference == ref
    left = int(harness.record(ref)["expires_ms"]) - harness.now()
    record, secrets, memory = (harness.raw.pttl(key) for key in keys)
    assert record == about(left + TOMBSTONE_MS)
    assert secrets == about(left)
    assert memory >= left + TOMBSTONE_MS - 2_000
    assert harness.timers(ref)[f"expiry:{ref.token}"] == int(harness.record(ref)["expires_ms"])


def test_a_number_forgets_the_verifications_of_purposes_long_ago(harness: StoreHarness) -> None:
    """A number that is sent to each day does not grow: what has no tombstone any more is taken out."""
    number = fresh_number()
    refs = {purpose: harness.start(number, purpose=purpose).reference for purpose in ("first", "second")}
    key = harness.keys.number(refs["first"].number_hash)
    over = harness.now() - TOMBSTONE_MS - 1
    harness.raw.hset(key, f"{Number.LATEST}shop:first", LatestEntry.pack(refs["first"].token, over))
    harness.raw.hset(key, Number.ENDS, harness.now())
    harness.start(number, purpose="third")
    slots = {name for name in harness.raw.hkeys(key) if name.startswith((Number.LATEST, Number.OPERATIONS))}
    kept = {f"{field}shop:{purpose}" for field in (Number.LATEST, Number.OPERATIONS) for purpose in ("second", "third")}
    assert slots == kept
