"""Verdicts on one guess, where a single fact differs: whose it is, its verifier, whether it was asked before."""

from dataclasses import replace
from typing import Any

import pytest

from otp_service.domain.binding import challenge_of
from otp_service.domain.checking import Approved, Limited, OfSubject, Wrong
from otp_service.domain.ending import NotFound
from otp_service.domain.policy import Limit, NumberLimits

from .harness import CODE, SHOP, WRONG, StoreHarness, fresh_number, limited

OWN, OTHER = challenge_of("o" * 43), challenge_of("x" * 43)
ANN, BOB = "a" * 32, "b" * 32
DAY_MS = 86_400_000


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
    plain = harness.guess(harness.start(fresh_number()).reference, CODE)
    assert all(isinstance(harness.verifications.check(plain), Approved) for _ in range(2))
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


def test_each_event_of_a_verdict_has_its_number(server_harness: StoreHarness) -> None:
    """Whoever reads the record sees that none is missing, to the approval or the last wrong code."""
    harness = server_harness
    approved, exhausted = (harness.start(fresh_number()).reference for _ in range(2))
    for code in (WRONG, WRONG, CODE):
        harness.check(approved, code)
    for _ in range(5):
        harness.check(exhausted, WRONG)
    for ref, count in ((approved, 5), (exhausted, 8)):
        assert [event["n"] for event in harness.audited(ref)] == [str(n) for n in range(1, count + 1)]
        assert len(harness.events(ref)) == count


@pytest.mark.parametrize("longest", ["app", "everywhere"])
def test_a_wrong_code_is_remembered_for_the_longest_window(server_harness: StoreHarness, longest: str) -> None:
    """Of the app's limits and of those over all apps: whoever guesses waits for neither to be forgotten."""
    harness, number = server_harness, fresh_number()
    days = {"app": 40, "everywhere": 40, longest: 50}
    app = limited((20, days["app"] * DAY_MS))
    limits = NumberLimits(wrong_codes=(Limit(20, days["everywhere"] * DAY_MS),))
    ref = harness.start(number, app).reference
    harness.check(ref, WRONG, app, per_number=limits)
    left = harness.raw.pttl(harness.keys.number(ref.number_hash))
    assert 50 * DAY_MS - 60_000 < left <= 51 * DAY_MS
