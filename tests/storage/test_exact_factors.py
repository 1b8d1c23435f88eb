"""Factors to the last count: how many there are, which steps confirm, what a repeat is told, what is on record."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from otp_service.domain.ending import NotFound, Redeemed
from otp_service.domain.factor_checking import (
    ApprovedCode,
    CodeUsed,
    ConfirmAnswer,
    Confirmed,
    EnrollmentExpired,
    FactorApproved,
    NewCodes,
    SentCode,
    Settled,
    TriesSpent,
    TryTaken,
    WrongConfirmation,
)
from otp_service.domain.factors import Subject
from otp_service.domain.ids import Reference
from otp_service.storage.schema.fields import Subject as SubjectField

from .factors import (
    active,
    codes,
    enroll,
    guess,
    in_one_step,
    new_reference,
    new_subject,
    operation,
    set_tries,
    step_of,
    tries,
)
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


def test_a_start_binds_its_number_once(server_harness: StoreHarness) -> None:
    """After the number was removed the same code binds it no more; what was sent to another number stays."""
    harness, subject = server_harness, new_subject(server_harness)
    sent, other = (new_reference(harness, new_subject(harness)) for _ in range(2))

    def settled(ref: Reference) -> Settled | None:
        made = ApprovedCode(subject, "bind", ref, "+1******0143", new_reference(harness, subject))
        return harness.factors.approve_sent(operation(), made)

    harness.factors.note_sent(SentCode(subject, "bind", other, may_bind=True))
    assert settled(sent) is not None  # there was no factor yet
    assert harness.factors.read(subject).sent["bind"].may_bind
    harness.factors.note_sent(SentCode(subject, "bind", other, may_bind=True))
    noted = harness.factors.read(subject).sent["bind"]
    found = settled(other)
    assert found is not None
    assert harness.factors.read(subject).sent["bind"] == replace(noted, may_bind=False)
    harness.factors.remove(operation(), subject, found.factor)
    assert settled(other) is None


def kept_for_ever(harness: StoreHarness, subject: Subject) -> bool:
    """Whether the subject's hash has no end."""
    return bool(harness.raw.pttl(harness.keys.subject(subject.hash)) == -1)


def test_whatever_factor_comes_first_has_no_end(server_harness: StoreHarness) -> None:
    """Also where wrong codes, or a code that was sent, gave the subject's hash one."""
    harness = server_harness
    for first in (codes, bound):
        subject = new_subject(harness)
        guess(harness, subject)
        assert not kept_for_ever(harness, subject)
        first(harness, subject)
        assert kept_for_ever(harness, subject)


def test_what_is_confirmed_too_late_has_ended(server_harness: StoreHarness) -> None:
    """By the time that stands in the subject, or with the secret that is gone."""
    harness, subject = server_harness, new_subject(server_harness)
    late, gone = enroll(harness, subject), enroll(harness, subject)
    harness.raw.hset(harness.keys.subject(subject.hash), f"{late.token}:confirm_by_ms", 1)
    harness.raw.delete(harness.keys.enrollment(gone))
    for ref in (late, gone):
        assert harness.factors.confirm(operation(), subject, ref, [step_of(harness)]) == EnrollmentExpired()
    assert not harness.factors.rename(subject, late, "Other")
    assert "factor.renamed" not in on_record(harness, subject)


def test_a_try_that_goes_back_ends_no_wait(server_harness: StoreHarness) -> None:
    """The next one waits as if it had been judged: whoever has tries given back guesses no faster."""
    harness, subject = server_harness, new_subject(server_harness)
    set_tries(harness, subject, 5, 31_000)
    one = taken(harness, subject)
    harness.factors.give_back(operation(), subject, one.row)
    assert tries(harness, subject) == 5
    waits = guess(harness, subject)
    assert isinstance(waits, TriesSpent)
    assert 0 < waits.wait_ms <= 30_000


def test_an_operator_lets_one_number_be_bound(server_harness: StoreHarness) -> None:
    """The first ends that; whom the others are to tell of it is remembered where there are others. What was sealed for
    it is forgotten."""
    harness, subject = server_harness, new_subject(server_harness)
    assert harness.factors.lift(subject, "a reason", bind_ms=60_000) == 1
    first = bound(harness, subject)
    found = harness.factors.read(subject)
    assert (found.lifted, found.untold, first.others) == (False, None, ())
    sent = new_reference(harness, new_subject(harness))
    harness.factors.note_sent(SentCode(subject, "login", sent, True, harness.ring.seal(b"n")))
    sealed = harness.keys.enrollment(Reference(sent.token, subject.hash))
    assert harness.raw.exists(sealed)
    made = ApprovedCode(subject, "login", sent, "+1******0144", new_reference(harness, subject))
    assert harness.factors.approve_sent(operation(), made)
    assert (harness.raw.exists(sealed), harness.factors.read(subject).untold) == (0, sent.token)


@pytest.mark.parametrize("test", [True, False])
def test_a_test_number_is_on_record_as_one(server_harness: StoreHarness, *, test: bool) -> None:
    """First that it was added, then that it was approved."""
    harness, subject = server_harness, new_subject(server_harness)
    number = new_reference(harness, new_subject(harness))
    made = ApprovedCode(subject, "login", number, "+1******0143", new_reference(harness, subject), test=test)
    assert harness.factors.approve_sent(operation(), made)
    found = [event for event in harness.audited_in(harness.keys.shard(subject.hash)) if subject.sub in event["detail"]]
    assert [event["type"] for event in found] == ["factor.added", "factor.approved"]
    assert [json.loads(event["detail"]).get("test") for event in found] == [test or None] * 2


def test_of_two_apps_that_show_one_code_either_approves(server_harness: StoreHarness) -> None:
    """The first whose step is not used; a repeat gets the reply of the one that approved, and nothing of before a
    restart is good at the second one either."""
    harness, subject = server_harness, new_subject(server_harness)
    one, other = active(harness, subject), active(harness, subject)
    ahead = step_of(harness) + 1
    assert isinstance(guess(harness, subject, steps=[(one.token, ahead)]), FactorApproved)
    both, again = [(one.token, ahead), (other.token, ahead)], operation()
    first = guess(harness, subject, steps=both, operation_id=again)
    assert isinstance(first, FactorApproved)
    assert first.reference == other
    assert guess(harness, subject, steps=both, operation_id=again) == replace(first, replayed=True)
    third = active(harness, subject)
    harness.raw.hset(harness.keys.subject(subject.hash), f"{third.token}:run", "another")
    harness.raw.delete(harness.keys.run(harness.keys.shard(subject.hash)))
    assert guess(harness, subject, steps=[(one.token, ahead), (third.token, ahead)]) == CodeUsed()


def test_a_lift_says_what_it_took_away(server_harness: StoreHarness) -> None:
    """The wrong codes, after which another row begins, or what stands against another number; and leaves the rest."""
    harness, subject = server_harness, new_subject(server_harness)
    one = taken(harness, subject)
    assert not kept_for_ever(harness, subject)
    assert harness.factors.lift(subject, "lost phone", bind_ms=60_000) == 1
    assert (harness.factors.read(subject).lifted, tries(harness, subject)) == (True, 1)
    assert harness.factors.lift(subject, "known") == 1
    assert (tries(harness, subject), taken(harness, subject).row) == (0, one.row + 1)
    found = [event for event in harness.audited_in(harness.keys.shard(subject.hash)) if subject.sub in event["detail"]]
    assert [json.loads(event["detail"]) for event in found] == [
        {"sub": subject.sub, "reason": "lost phone", "may_bind": True},
        {"sub": subject.sub, "reason": "known", "wrong_codes": 1},
    ]
    other = new_subject(harness)
    harness.factors.lift(other, "a reason", bind_ms=60_000)
    assert not kept_for_ever(harness, other)


def test_a_secret_goes_with_what_was_not_confirmed(server_harness: StoreHarness) -> None:
    """Nobody confirms it after that."""
    harness, subject = server_harness, new_subject(server_harness)
    app = enroll(harness, subject)
    assert harness.factors.remove(operation(), subject, app)
    assert not harness.raw.exists(harness.keys.enrollment(app))


def test_whoever_guesses_without_a_factor_is_forgotten(server_harness: StoreHarness) -> None:
    """After thirty days, whether the guess was judged here or elsewhere."""
    harness = server_harness
    for more in (False, True):
        subject = new_subject(harness)
        guess(harness, subject, more=more)
        assert not kept_for_ever(harness, subject)
