"""A person says that they did not start it: the verification ends, once, and no other does."""

import time
from dataclasses import replace
from functools import partial

import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ids import Reference

from .harness import BANK, SHOP, StoreHarness, at_once, fresh_number


def denial(harness: StoreHarness, **changes: object) -> Denial:
    """A person's answer to the pool, now."""
    made = Denial(frozenset({"shop"}), frozenset({"pool"}), harness.now(), harness.now())
    return replace(made, **changes)  # type: ignore[arg-type]


def test_an_answer_ends_the_verification_once(harness: StoreHarness) -> None:
    """Denied, with the delivery that it answers; the code is worthless and gone; a replay says so."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    said = denial(harness)
    answers = at_once([partial(harness.verifications.deny, ref, said)] * 8)
    assert sorted(set(answers)) == ["denied", "no"]
    assert answers.count("denied") == 1
    assert harness.record(ref)["status"] == "denied"
    assert not harness.raw.exists(harness.keys.secrets(ref))
    timeline = harness.verifications.timeline(ref)
    assert (timeline[-1].event, timeline[-1].delivery_id) == ("verification.denied", ref.delivery_id(1))


@pytest.mark.parametrize(
    "changes", [{"apps": frozenset({"bank"})}, {"senders": frozenset({"backup"})}, {"senders": frozenset()}]
)
def test_a_denial_to_another_sender_ends_nothing(harness: StoreHarness, changes: dict[str, object]) -> None:
    """Another app's word, another sender's number."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    assert harness.verifications.deny(ref, denial(harness, **changes)) == "no"
    assert harness.record(ref)["status"] == "pending"


def test_a_denial_from_before_the_code_ends_nothing(harness: StoreHarness) -> None:
    """Nor one to a code that was never tried to be sent; clocks a few seconds apart do not matter."""
    ref = harness.start(fresh_number()).reference
    assert harness.verifications.deny(ref, denial(harness)) == "no"
    harness.send(ref)
    tried_ms = int(harness.record(ref)["1:first_try_ms"])
    assert harness.verifications.deny(ref, denial(harness, at_ms=tried_ms - 6_000)) == "no"
    assert harness.verifications.deny(ref, denial(harness, at_ms=tried_ms - 3_000)) == "denied"


@pytest.mark.parametrize("lately", [True, False])
def test_a_denial_finds_the_codes_of_all_who_share_the_phone(harness: StoreHarness, *, lately: bool) -> None:
    """A later start for another subject is the latest of the number: it must not hide the one that is denied."""
    number, subjects = fresh_number(), ["a" * 64, "b" * 64, "c" * 64]
    refs: list[Reference] = []
    for subject in subjects:
        if refs:
            harness.cool(refs[-1])
        ttl_ms = 60_000 if lately else 0
        refs.append(harness.start(number, subject=subject, operation_ttl_ms=ttl_ms).reference)
        harness.send(refs[-1], f"msg-{subject}")
    found = harness.verifications.pending(refs[0].number_hash)
    assert sorted(found, key=refs.index) == refs
    said = denial(harness)
    assert [harness.verifications.deny(ref, said) for ref in found] == ["denied"] * 3


def test_a_denial_finds_a_code_whose_answer_is_lost(harness: StoreHarness) -> None:
    """Nobody knows its message at the carrier: the operation that started it is remembered."""
    number = fresh_number()
    first = harness.start(number, subject="a" * 64).reference
    job = harness.take(first)
    harness.must_begin(job)
    harness.deliveries.record_unknown(job, 1_000, Unknown("timeout"))
    harness.cool(first)
    harness.start(number, subject="b" * 64)
    assert first in harness.verifications.pending(first.number_hash)
    assert harness.verifications.deny(first, denial(harness)) == "denied"


def test_a_replayed_denial_does_not_end_the_next_verification(harness: StoreHarness) -> None:
    """It was first received before the new code went out, however well the clocks would let it pass."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.send(ref)
    received = harness.verifications.first_received(ref.number_hash, "evt-1")
    assert harness.verifications.deny(ref, denial(harness, received_ms=received)) == "denied"
    time.sleep(0.01)
    harness.cool(ref)
    fresh = harness.start(number).reference
    harness.send(fresh, "msg-2")
    again = harness.verifications.first_received(ref.number_hash, "evt-1")
    assert again == received
    assert harness.verifications.deny(fresh, denial(harness, received_ms=again)) == "no"
    other = harness.verifications.first_received(ref.number_hash, "evt-2")
    assert harness.verifications.deny(fresh, denial(harness, received_ms=other)) == "denied"


@pytest.mark.parametrize(
    ("end", "answer"),
    [
        (NotSent("connect"), "no"),
        (Refused("40310", "Invalid number", Action.STOP_PERSON), "no"),
        (Unknown("timeout"), "denied"),
        (Accepted("msg-9", "queued"), "denied"),
    ],
)
def test_only_what_may_have_reached_the_person_can_be_denied(
    harness: StoreHarness, end: NotSent | Refused | Unknown | Accepted, answer: str
) -> None:
    """A code that never left us, or that the carrier refused, is not what somebody answers to."""
    ref = harness.start(fresh_number(), app=replace(SHOP, route=SHOP.route[:1])).reference
    job = harness.take(ref)
    harness.must_begin(job)
    match end:
        case NotSent():
            harness.deliveries.record_retry(job, 1_000, end)
        case Refused():
            harness.deliveries.record_refused(job, end)
        case Unknown():
            harness.deliveries.record_unknown(job, 1_000, end)
        case Accepted():
            harness.deliveries.record_accepted(job, end)
    assert harness.verifications.deny(ref, denial(harness)) == answer


def test_one_denial_ends_all_that_it_can_be_about(harness: StoreHarness) -> None:
    """Two purposes and two apps of one number are distinguished by the record, and none shadows another."""
    number = fresh_number()
    refs = [harness.start(number).reference, harness.start(number, purpose="pay").reference]
    refs.append(harness.start(number, BANK).reference)
    for job in [job for job in harness.jobs(refs[0]) if job.reference in refs]:
        harness.begin(job, BANK if job.reference == refs[2] else SHOP)
    assert set(harness.verifications.pending(harness.hash_of(number))) == set(refs)
    said = denial(harness)
    assert [harness.verifications.deny(ref, said) for ref in refs] == ["denied", "denied", "no"]
