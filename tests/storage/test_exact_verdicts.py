"""Verdicts on one guess, where a single fact differs: whose it is, its verifier, whether it was asked before."""

from dataclasses import replace
from typing import Any

import pytest

from otp_service.domain.binding import challenge_of
from otp_service.domain.checking import Approved, Limited, OfSubject, Wrong
from otp_service.domain.ending import NotFound

from .harness import CODE, SHOP, WRONG, StoreHarness, fresh_number

OWN, OTHER = challenge_of("o" * 43), challenge_of("x" * 43)
ANN, BOB = "a" * 32, "b" * 32


def attempts(harness: StoreHarness, number: str) -> list[int]:
    """The wrong codes that count against the number."""
    return harness.wrong_codes(harness.hash_of(number))


def test_a_code_of_a_subject_is_judged_for_that_subject_alone(server_harness: StoreHarness) -> None:
    """Another one's assertion or try finds nothing and counts nothing; without a try it is asked for."""
    harness, number = server_harness, fresh_number()
    ref = harness.start(number, subject=ANN).reference
    others: list[dict[str, Any]] = [{"asserted_subject": BOB}, {"by_subject": BOB}]
    for foreign in (*others, {"asserted_subject": BOB, "by_subject": ANN}):
        assert harness.check(ref, CODE, **foreign) == NotFound()
    for asserted in ("", ANN):
        assert harness.check(ref, CODE, asserted_subject=asserted) == OfSubject(ANN)
    assert harness.check(ref, WRONG, by_subject=ANN) == Wrong(4)
    assert attempts(harness, number) == [], "the subject's budget has counted it"
    approved = harness.check(ref, CODE, by_subject=ANN, asserted_subject=ANN)
    assert isinstance(approved, Approved)
    assert (approved.subject, approved.context_hash) == (ANN, "")


def test_a_code_of_no_subject_is_judged_for_none(server_harness: StoreHarness) -> None:
    """A subject that is asserted or has paid for the try finds nothing."""
    harness = server_harness
    ref = harness.start(fresh_number()).reference
    assert harness.check(ref, CODE, asserted_subject=ANN) == NotFound()
    assert harness.check(ref, CODE, by_subject=ANN) == NotFound()
    approved = harness.check(ref, CODE)
    assert isinstance(approved, Approved)
    assert approved.subject == ""


def test_a_context_is_told_with_the_approval(server_harness: StoreHarness) -> None:
    """It goes into the receipt."""
    harness, context = server_harness, {"amount": "5"}
    command = harness.start_command(fresh_number(), context=context)
    harness.verifications.start(command)
    approved = harness.check(command.reference, CODE, context=context)
    assert isinstance(approved, Approved)
    assert approved.context_hash == command.context_hash != ""


@pytest.mark.parametrize(("started", "given"), [(OWN, ""), (OWN, OTHER), ("", OWN)])
def test_without_the_verifier_nothing_is_compared(server_harness: StoreHarness, started: str, given: str) -> None:
    """Two such guesses are answered, as wrong ones are, then none until the code's end; those two are on record, and
    nobody has lost a try."""
    harness, number = server_harness, fresh_number()
    ref = harness.start(number, challenge=started).reference
    found = [harness.check(ref, CODE, challenge=given) for _ in range(4)]
    assert found[:2] == [Wrong(1, unbound=True), Wrong(0, unbound=True)]
    for late in found[2:]:
        assert isinstance(late, Limited)
        assert 0 < late.wait_ms <= SHOP.code_ttl_ms
    assert harness.events(ref).count("check.failed") == 2
    assert [event["n"] for event in harness.audited(ref) if event["type"] == "check.failed"] == ["3", "4"]
    assert attempts(harness, number) == []
    assert isinstance(harness.check(ref, CODE, challenge=started), Approved)


def test_each_verifier_of_the_starts_counts(server_harness: StoreHarness) -> None:
    """The first one's, and that of whoever asked for the code again."""
    for proof in (OWN, OTHER):
        number = fresh_number()
        ref = server_harness.start(number, challenge=OWN).reference
        server_harness.cool(ref)
        assert server_harness.start(number, challenge=OTHER).reference == ref
        assert isinstance(server_harness.check(ref, CODE, challenge=proof), Approved)


def test_a_repeat_of_one_guess_is_told_what_the_first_was(server_harness: StoreHarness) -> None:
    """And counts nothing more: wrong ones down to the last, an approval, and one by a request that is known."""
    harness, number = server_harness, fresh_number()
    ref = harness.start(number).reference
    for left in (4, 3):
        guess = harness.guess(ref, WRONG)
        assert [harness.verifications.check(guess) for _ in range(2)] == [Wrong(left)] * 2
    assert len(attempts(harness, number)) == 2
    right = harness.guess(ref, CODE, request_key="key")
    first, again = (harness.verifications.check(right) for _ in range(2))
    assert isinstance(first, Approved)
    assert isinstance(again, Approved)
    assert (again.at_ms, again.receipt_id) == (first.at_ms, first.receipt_id)
    other = harness.verifications.check(replace(harness.guess(ref, CODE), request_key="key"))
    assert isinstance(other, Approved)
    assert other.receipt_id == first.receipt_id
    assert harness.events(ref).count("verification.approved") == 1
    last = harness.start(fresh_number()).reference
    for _ in range(4):
        harness.check(last, WRONG)
    guess = harness.guess(last, WRONG)
    assert harness.verifications.check(guess) == harness.verifications.check(guess)
