"""Factors to the last count: how many there are, which steps confirm, what a repeat is told, what is on record."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from otp_service.domain.ending import NotFound, Redeemed
from otp_service.domain.factor_checking import (
    ApprovedCode,
    CodeUsed,
    ConfirmAnswer,
    Confirmed,
    FactorApproved,
    NewCodes,
    SentCode,
    Settled,
    TryTaken,
    WrongConfirmation,
)
from otp_service.domain.factors import Subject
from otp_service.domain.ids import Reference
from otp_service.storage.schema.fields import Subject as SubjectField

from .factors import active, codes, enroll, guess, new_reference, new_subject, operation, set_tries, step_of, tries
from .harness import StoreHarness


def count(harness: StoreHarness, subject: Subject) -> int:
    """How many active factors the subject's hash says that there are, which decides how long it is kept."""
    return int(harness.raw.hget(harness.keys.subject(subject.hash), SubjectField.ACTIVE) or 0)


def bound(harness: StoreHarness, subject: Subject) -> Settled:
    """Another number, by a code that was sent to bind it."""
    sent = new_reference(harness, new_subject(harness))
    harness.factors.note_sent(SentCode(subject, "bind", sent, True, harness.ring.seal(b"n")))
    made = ApprovedCode(subject, "bind", sent, "+1******0143", new_reference(harness, subject))
    settled = harness.factors.approve_sent(operation(), made)
    assert settled is not None
    return settled


def on_record(harness: StoreHarness, subject: Subject) -> Counter[str]:
    """How often each event of the subject is."""
    found = harness.audited_in(harness.keys.shard(subject.hash))
    return Counter(event["type"] for event in found if subject.sub in event["detail"])


def test_each_factor_counts_once(server_harness: StoreHarness) -> None:
    """Apps, one set of recovery codes however often it is replaced, numbers; what is removed counts no longer."""
    harness, subject = server_harness, new_subject(server_harness)
    app = enroll(harness, subject)
    assert count(harness, subject) == 0
    assert harness.factors.confirm(operation(), subject, app, [step_of(harness)]) == Confirmed()
    assert count(harness, subject) == 1
    for _ in range(4):
        codes(harness, subject)
        assert count(harness, subject) == 2
        assert [one.kind for one in harness.factors.read(subject).all] == ["totp", "recovery_code"]
    made = NewCodes(operation(), new_reference(harness, subject), subject, ("a", "b"))
    times = [harness.factors.replace_codes(made) for _ in range(2)]
    assert times == sorted(times)
    assert count(harness, subject) == 2
    assert harness.factors.read(subject).all[-1].codes_left == 2
    first, second = bound(harness, subject), bound(harness, subject)
    assert (count(harness, subject), first.bound, first.others) == (4, True, ())
    assert (second.bound, second.others) == (True, (first.factor,))
    for left, ref in ((3, first.factor), (2, app), (1, made.reference), (0, second.factor)):
        assert harness.factors.remove(operation(), subject, ref)
        assert count(harness, subject) == left
        assert (harness.raw.pttl(harness.keys.subject(subject.hash)) == -1) is (left > 0)
    assert on_record(harness, subject) == {
        "factor.enrolled": 1,
        "factor.added": 3,
        "factor.codes_replaced": 5,
        "factor.approved": 2,
        "factor.removed": 4,
    }


def in_one_step(harness: StoreHarness, judge: Callable[[int], ConfirmAnswer]) -> ConfirmAnswer:
    """The answer of a judgement whose time step did not end meanwhile."""
    while True:
        here = step_of(harness)
        answer = judge(here)
        if step_of(harness) == here:
            return answer


@pytest.mark.parametrize(("drift", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_the_step_before_and_the_next_one_confirm(server_harness: StoreHarness, drift: int, counts: bool) -> None:
    """And none farther away."""
    harness, subject = server_harness, new_subject(server_harness)

    def confirm(here: int) -> ConfirmAnswer:
        return harness.factors.confirm(operation(), subject, enroll(harness, subject), [here + drift])

    assert in_one_step(harness, confirm) == (Confirmed() if counts else WrongConfirmation(4))


def test_whoever_confirmed_is_told_so_again(server_harness: StoreHarness) -> None:
    """Anybody else, that it is active already; wrong codes are counted to the last."""
    harness, subject = server_harness, new_subject(server_harness)
    ref, confirming = enroll(harness, subject), operation()
    wrong = [harness.factors.confirm(operation(), subject, ref, []) for _ in range(4)]
    assert wrong == [WrongConfirmation(left) for left in (4, 3, 2, 1)]
    steps = [step_of(harness)]
    assert [harness.factors.confirm(confirming, subject, ref, steps) for _ in range(2)] == [Confirmed()] * 2
    assert harness.factors.confirm(operation(), subject, ref, steps) == CodeUsed()
    found = on_record(harness, subject)
    assert (found["factor.check_failed"], found["factor.added"]) == (4, 1)
    other = enroll(harness, subject)
    for left in (4, 3, 2, 1, 0, 0):
        assert harness.factors.confirm(operation(), subject, other, []) == WrongConfirmation(left)
    assert on_record(harness, subject)["factor.check_failed"] == 9


def test_a_redeemed_receipt_is_on_record_once(server_harness: StoreHarness) -> None:
    """By whom it was spent first, in its time; others are told when that was."""
    harness, subject = server_harness, new_subject(server_harness)
    app, receipt = active(harness, subject), operation()
    approved = guess(harness, subject, steps=[(app.token, step_of(harness) + 1)], receipt_id=receipt)
    assert isinstance(approved, FactorApproved)
    ends, spending = harness.now() + 60_000, operation()
    assert harness.factors.redeem(operation(), subject, app, receipt, harness.now() - 1) == NotFound()
    first = harness.factors.redeem(spending, subject, app, receipt, ends)
    assert isinstance(first, Redeemed)
    assert harness.factors.redeem(spending, subject, app, receipt, ends) == first
    assert harness.factors.redeem(operation(), subject, app, receipt, ends) == replace(first, first=False)
    assert on_record(harness, subject)["receipt.redeemed"] == 1


def taken(harness: StoreHarness, subject: Subject) -> TryTaken:
    """A try for a code that is judged elsewhere."""
    found = guess(harness, subject, more=True)
    assert isinstance(found, TryTaken)
    return found


def test_a_try_goes_back_into_its_own_row_alone(server_harness: StoreHarness) -> None:
    """Not after an approval has ended the row, and never below none."""
    harness, subject = server_harness, new_subject(server_harness)
    set_tries(harness, subject, 2, 1_000)
    one = taken(harness, subject)
    harness.factors.give_back(operation(), subject, one.row)
    assert tries(harness, subject) == 2
    late = taken(harness, subject)
    bound(harness, subject)
    assert tries(harness, subject) == 0
    new = taken(harness, subject)
    assert new.row == late.row + 1
    harness.factors.give_back(operation(), subject, late.row)
    assert tries(harness, subject) == 1
    for _ in range(2):
        harness.factors.give_back(operation(), subject, new.row)
    assert tries(harness, subject) == 0


def test_an_approval_that_is_told_again_changes_nothing(server_harness: StoreHarness) -> None:
    """The same operation, or one that tells an approval that was settled; a later approval counts."""
    harness, subject = server_harness, new_subject(server_harness)
    number = new_reference(harness, new_subject(harness))
    command = ApprovedCode(subject, "login", number, "+1******0143", new_reference(harness, subject))
    settling = operation()
    first = harness.factors.approve_sent(settling, command)
    assert first == Settled(command.new, True, ())
    used = harness.factors.read(subject).all[0].last_used_ms or 0
    again: list[tuple[str, ApprovedCode]] = [
        (settling, command),
        (operation(), replace(command, replayed=True, at_ms=used)),
        (operation(), replace(command, replayed=True, at_ms=used - 1)),
    ]
    for name, told in again:
        taken(harness, subject)
        assert harness.factors.approve_sent(name, told) == first
    assert tries(harness, subject) == len(again)
    assert on_record(harness, subject)["factor.approved"] == 1
    assert harness.factors.approve_sent(operation(), replace(command, replayed=True, at_ms=used + 1)) == first
    assert (tries(harness, subject), on_record(harness, subject)["factor.approved"]) == (0, 2)


def test_a_number_is_bound_by_its_own_start_alone(server_harness: StoreHarness) -> None:
    """Where there is a factor already: the code must have been sent last, to this number, to bind it."""
    harness, subject = server_harness, new_subject(server_harness)
    active(harness, subject)
    sent, other = (new_reference(harness, new_subject(harness)) for _ in range(2))

    def settled(ref: Reference) -> Settled | None:
        made = ApprovedCode(subject, "login", ref, "+1******0143", new_reference(harness, subject))
        return harness.factors.approve_sent(operation(), made)

    assert settled(sent) is None
    harness.factors.note_sent(SentCode(subject, "login", sent))
    assert settled(sent) is None
    harness.factors.note_sent(SentCode(subject, "login", sent, may_bind=True))
    assert settled(other) is None
    assert settled(Reference(sent.token, other.number_hash)) is None
    assert settled(Reference(other.token, sent.number_hash)) is None
    assert settled(sent) is not None
    assert count(harness, subject) == 2
