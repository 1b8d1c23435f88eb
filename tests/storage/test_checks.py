"""Judging guesses: how many are ever compared, what counts, and what nothing gives back."""

import random
from dataclasses import replace
from functools import partial

import pytest

from otp_service.domain.checking import Approved, CheckAnswer, LatestAnswer, Limited, Wrong
from otp_service.domain.ending import Ended, NotFound
from otp_service.domain.errors import NotReady
from otp_service.domain.ids import Reference
from otp_service.domain.policy import MAX_CONSECUTIVE_WRONG
from otp_service.domain.verification import Status

from .harness import BANK, CODE, SHOP, WRONG, StoreHarness, at_once, fresh_number, limited

EXHAUSTED = Ended(Status.EXHAUSTED)
MANY = limited((100, 86_400_000))


def test_of_a_hundred_wrong_codes_at_once_exactly_five_are_judged(harness: StoreHarness) -> None:
    """`max_checks` guesses are compared, whatever the parallelism: counter, answers and record agree."""
    ref = harness.start(fresh_number()).reference
    answers = at_once([partial(harness.check, ref, f"{n:06d}") for n in range(100)])
    assert sorted(a.checks_left for a in answers if isinstance(a, Wrong)) == [1, 2, 3, 4]
    assert answers.count(EXHAUSTED) == 96
    assert harness.record(ref)["attempts"] == "5"
    kinds = [event["type"] for event in harness.audited(ref)]
    assert kinds.count("check.failed") == 5
    assert kinds.count("verification.exhausted") == 1
    assert len(harness.wrong_codes(ref.number_hash, "shop")) == 5
    assert harness.in_a_row(ref.number_hash, "shop") == 5


def test_the_right_code_fifty_times_at_once_approves_once(harness: StoreHarness) -> None:
    """A code is accepted once, and its record names one receipt."""
    for _ in range(4):
        ref = harness.start(fresh_number()).reference
        answers = at_once([partial(harness.check, ref, CODE)] * 50)
        approved = [answer for answer in answers if isinstance(answer, Approved)]
        assert len(approved) == 1
        assert answers.count(Ended(Status.APPROVED)) == 49
        assert harness.record(ref)["receipt_id"] == approved[0].receipt_id
        assert harness.events(ref).count("verification.approved") == 1


def test_one_right_among_many_wrong_is_never_approved_after_the_last_try(harness: StoreHarness) -> None:
    """In any interleaving at most one approval, and never one after the verification was exhausted."""
    chance = random.Random(7)
    for _ in range(12):
        ref = harness.start(fresh_number()).reference
        guesses = [f"{n:06d}" for n in range(29)] + [CODE]
        chance.shuffle(guesses)
        answers = at_once([partial(harness.check, ref, guess) for guess in guesses])
        record, events = harness.record(ref), harness.events(ref)
        approved = sum(isinstance(answer, Approved) for answer in answers)
        assert approved == events.count("verification.approved") <= 1
        assert int(record["attempts"]) <= 5
        assert events.count("check.failed") == int(record["attempts"]) - approved
        assert events.count("verification.approved") + events.count("verification.exhausted") == 1


def _guess(harness: StoreHarness, ref: Reference, code: str, *, by_number: bool) -> CheckAnswer:
    if not by_number:
        return harness.check(ref, code)
    judged = harness.check_latest(ref.number_hash, code)
    assert judged is not None
    return judged.answer


def test_guesses_by_id_and_by_number_share_one_counter(harness: StoreHarness) -> None:
    """Whichever way a verification is named, its tries are the same five."""
    ref = harness.start(fresh_number()).reference
    jobs = [partial(_guess, harness, ref, f"{n:06d}", by_number=n % 2 == 1) for n in range(40)]
    answers = at_once(jobs)
    assert sum(isinstance(answer, Wrong) for answer in answers) == 4
    assert answers.count(EXHAUSTED) == 36
    assert harness.record(ref)["attempts"] == "5"


def test_a_repeat_of_the_send_gives_no_try_back(harness: StoreHarness) -> None:
    """Four wrong, the code sent again, one wrong: exhausted, and the right code no longer helps (NIST 3.2.2)."""
    number = fresh_number()
    ref = harness.start(number).reference
    for left in (4, 3, 2, 1):
        assert harness.check(ref, WRONG) == Wrong(left)
    harness.cool(ref)
    assert harness.start(number).reference == ref
    assert harness.check(ref, WRONG) == EXHAUSTED
    assert harness.check(ref, CODE) == EXHAUSTED


def test_the_numbers_budget_reaches_over_all_its_verifications(harness: StoreHarness) -> None:
    """New verifications and other purposes never give a number's guesses back; start and check are refused alike."""
    app, number = limited((7, 60_000)), fresh_number()
    first = harness.start(number, app).reference
    for _ in range(5):
        harness.check(first, WRONG, app)
    second = harness.start(number, app, purpose="pay").reference
    assert harness.check(second, WRONG, app) == Wrong(4)
    assert harness.check(second, WRONG, app) == Wrong(3)
    limit = harness.check(second, CODE, app)
    assert isinstance(limit, Limited)
    assert 0 < limit.wait_ms <= 60_000
    assert harness.record(second)["attempts"] == "2"
    refused = harness.refused(number, app, purpose="third")
    assert refused.code == "too_many_wrong_codes"
    assert 0 < refused.wait_ms <= 60_000
    assert harness.waiting(first) == 2


def test_the_budget_is_exact_under_a_race_over_many_verifications(harness: StoreHarness) -> None:
    """Guesses at once at several verifications of one number: the sum of the judged ones is the budget."""
    app, number = limited((8, 60_000)), fresh_number()
    refs = [harness.start(number, app, purpose=f"p{n}").reference for n in range(4)]
    answers = at_once([partial(harness.check, ref, WRONG, app) for ref in refs for _ in range(8)])
    assert sum(int(harness.record(ref)["attempts"]) for ref in refs) == 8
    assert sum(isinstance(answer, Wrong) or answer == EXHAUSTED for answer in answers) >= 8
    assert len(harness.wrong_codes(harness.hash_of(number), app.name)) == 8


def test_the_window_slides(harness: StoreHarness) -> None:
    """A wrong code counts for the window's length from its own moment, and then no longer."""
    app, number = limited((3, 60_000)), fresh_number()
    ref = harness.start(number, app).reference
    for _ in range(3):
        harness.check(ref, WRONG, app)
    assert isinstance(harness.check(ref, WRONG, app), Limited)
    wrong, now = harness.wrong_codes(ref.number_hash, app.name), harness.now()
    harness.set_wrong_codes(ref.number_hash, app.name, [*wrong[:-1], now - 50_000])
    soon = harness.check(ref, WRONG, app)
    assert isinstance(soon, Limited)
    assert 0 < soon.wait_ms <= 10_000
    harness.set_wrong_codes(ref.number_hash, app.name, [*wrong[:-1], now - 60_001])
    assert harness.check(ref, WRONG, app) == Wrong(1)
    assert isinstance(harness.check(ref, WRONG, app), Limited)


def test_of_several_limits_the_longest_wait_is_reported(harness: StoreHarness) -> None:
    """A caller who obeys the wait is not refused again by another limit."""
    app, number = limited((2, 20_000), (3, 60_000)), fresh_number()
    ref = harness.start(number, app).reference
    for _ in range(2):
        harness.check(ref, WRONG, app)
    short = harness.check(ref, WRONG, app)
    assert isinstance(short, Limited)
    assert short.wait_ms <= 20_000
    harness.set_wrong_codes(ref.number_hash, app.name, [harness.now() - 20_000] * 2)
    assert harness.check(ref, WRONG, app) == Wrong(2)
    long = harness.check(ref, WRONG, app)
    assert isinstance(long, Limited)
    assert long.wait_ms > 20_000


def test_one_apps_guesses_are_not_anothers(harness: StoreHarness) -> None:
    """One app's callers cannot lock another app's user out."""
    app, number = limited((2, 60_000)), fresh_number()
    mine = harness.start(number, app).reference
    for _ in range(2):
        harness.check(mine, WRONG, app)
    assert isinstance(harness.check(mine, WRONG, app), Limited)
    theirs = harness.start(number, BANK).reference
    assert isinstance(harness.check(theirs, CODE, BANK), Approved)


def test_a_hundred_wrong_codes_in_a_row_are_the_ceiling(harness: StoreHarness) -> None:
    """After 100 consecutive wrong codes nothing is judged or sent, however the windows stand (NIST 3.2.2)."""
    number = fresh_number()
    ref = harness.start(number, MANY).reference
    harness.set_in_a_row(ref.number_hash, MANY.name, MAX_CONSECUTIVE_WRONG - 1)
    assert harness.check(ref, WRONG, MANY) == Wrong(4)
    assert harness.in_a_row(ref.number_hash, MANY.name) == 100
    stop = harness.check(ref, CODE, MANY)
    assert isinstance(stop, Limited)
    assert stop.wait_ms > 29 * 86_400_000
    assert harness.refused(number, MANY, purpose="other").code == "too_many_wrong_codes"


def test_an_approval_ends_the_streak_but_not_the_days_count(harness: StoreHarness) -> None:
    """Success disregards earlier failures in a row; the sliding budget keeps them, and does not count the right one."""
    number = fresh_number()
    ref = harness.start(number).reference
    for _ in range(3):
        harness.check(ref, WRONG)
    assert isinstance(harness.check(ref, CODE), Approved)
    assert harness.in_a_row(ref.number_hash, "shop") == 0
    assert len(harness.wrong_codes(ref.number_hash, "shop")) == 3
    assert harness.record(ref)["attempts"] == "4"


@pytest.mark.parametrize("given", [None, {"amount": "10.00", "payee": "Y"}, {"amount": "10"}])
def test_a_code_is_worthless_in_another_context(harness: StoreHarness, given: dict[str, str] | None) -> None:
    """The right code with another amount or payee, or without them, is a wrong code and counted."""
    ref = harness.start(fresh_number(), context={"amount": "10", "payee": "Y"}).reference
    assert harness.check(ref, CODE, context=given) == Wrong(4)
    assert isinstance(harness.check(ref, CODE, context={"payee": "Y", "amount": "10"}), Approved)


def test_codes_of_one_verification_are_wrong_for_another(harness: StoreHarness) -> None:
    """Two numbers, or one number with two purposes: swapped codes are refused and counted."""
    number = fresh_number()
    login = harness.start(number, code="111111").reference
    pay = harness.start(number, code="222222", purpose="pay").reference
    other = harness.start(fresh_number(), code="333333").reference
    for ref, code in ((login, "222222"), (pay, "333333"), (other, "111111")):
        assert harness.check(ref, code) == Wrong(4)
    for ref, code in ((login, "111111"), (pay, "222222"), (other, "333333")):
        assert isinstance(harness.check(ref, code), Approved)


def test_another_apps_verification_does_not_exist(harness: StoreHarness) -> None:
    """A foreign app gets the answer of a made-up id, with the right code too, and leaves no trace."""
    started = harness.start(fresh_number())
    ref = started.reference
    nowhere = harness.start_command(fresh_number()).reference
    before = harness.snapshot()
    assert harness.check(ref, CODE, BANK) == NotFound()
    assert harness.check(nowhere, CODE, BANK) == NotFound()
    assert harness.verifications.cancel("op", ref, "bank") == NotFound()
    assert harness.verifications.view(ref, "bank") is None
    assert harness.verifications.redeem("op", ref, "bank", "r", harness.now() + 9999) == NotFound()
    assert harness.snapshot() == before


def test_the_stores_clock_judges_expiry(harness: StoreHarness) -> None:
    """When the record's time is over the right code is late, nothing is counted, and the end is recorded once."""
    ref = harness.start(fresh_number()).reference
    harness.age(ref, 300_000)
    answers = at_once([partial(harness.check, ref, CODE)] * 10)
    assert set(answers) == {Ended(Status.EXPIRED)}
    assert harness.record(ref)["attempts"] == "0"
    assert harness.events(ref).count("verification.expired") == 1
    assert not harness.raw.exists(harness.keys.secrets(ref))


def test_a_code_just_before_its_end_is_good(harness: StoreHarness) -> None:
    """Expiry is to the millisecond of the store: a code with time left is accepted."""
    ref = harness.start(fresh_number()).reference
    harness.age(ref, 285_000)
    assert isinstance(harness.check(ref, CODE), Approved)


def test_expired_comes_before_limited_and_unknown_before_all(harness: StoreHarness) -> None:
    """Of several refusals the contract's first one answers."""
    app, number = limited((1, 60_000)), fresh_number()
    ref = harness.start(number, app).reference
    harness.check(ref, WRONG, app)
    assert isinstance(harness.check(ref, CODE, app), Limited)
    harness.age(ref, 300_000)
    assert harness.check(ref, CODE, app) == Ended(Status.EXPIRED)
    assert harness.check(ref, CODE, replace(app, name="bank")) == NotFound()


def test_by_number_the_latest_verification_is_judged(harness: StoreHarness) -> None:
    """A check by number follows the index; one that a newer start has overtaken is not judged."""
    number = fresh_number()
    old = harness.start(number).reference
    harness.check(old, CODE)
    new = harness.start(number).reference
    assert harness.latest(new.number_hash, "shop", "login") == new
    assert harness.check_latest(new.number_hash, WRONG) == LatestAnswer(new, Wrong(4))
    judged = harness.check_latest(new.number_hash, CODE)
    assert judged is not None
    assert isinstance(judged.answer, Approved)
    assert (judged.reference, judged.answer.approval.verification_id) == (new, new.verification_id)
    assert harness.check_latest(new.number_hash, CODE) == LatestAnswer(new, Ended(Status.APPROVED))
    assert harness.check_latest(new.number_hash, CODE, purpose="other") is None
    assert harness.latest(new.number_hash, "shop", "other") is None


def test_a_code_whose_pepper_is_not_at_hand_costs_no_try(harness: StoreHarness) -> None:
    """A missing key generation refuses without counting an attempt."""
    ref = harness.start(fresh_number()).reference
    command = harness.guess(ref, CODE)
    with pytest.raises(NotReady):
        harness.verifications.check(replace(command, digests={"k-other": "00"}))
    assert harness.record(ref)["attempts"] == "0"
    both = {"k-other": "00", **command.digests}
    assert isinstance(harness.verifications.check(replace(command, digests=both)), Approved)


@pytest.mark.parametrize("field", ["facts", "status", "expires_ms", "attempts", "sending"])
def test_a_damaged_record_is_never_approved(harness: StoreHarness, field: str) -> None:
    """A record with a field missing is no verification: a damaged record must not approve."""
    ref = harness.start(fresh_number()).reference
    harness.raw.hdel(harness.keys.record(ref), field)
    assert harness.check(ref, CODE) == NotFound()


def test_without_its_digest_nothing_is_approved(harness: StoreHarness) -> None:
    """A record whose digest is gone cannot be guessed at, and its counter stands still."""
    ref = harness.start(fresh_number()).reference
    harness.raw.hdel(harness.keys.secrets(ref), "digest")
    assert harness.check(ref, CODE) == NotFound()
    assert harness.record(ref)["attempts"] == "0"


def test_max_checks_is_the_apps(harness: StoreHarness) -> None:
    """An app with one try has one."""
    app = replace(SHOP, max_checks=1)
    ref = harness.start(fresh_number(), app).reference
    assert harness.check(ref, WRONG, app) == EXHAUSTED
    assert harness.check(ref, CODE, app) == EXHAUSTED
