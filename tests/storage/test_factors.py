"""Factors in the store: each step and each recovery code once, one budget, whatever happens at the same moment."""

from collections.abc import Callable
from functools import partial

import pytest

from otp_service.domain.ending import NotFound, Redeemed
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.factor_checking import (
    ApprovedCode,
    CodeUsed,
    Confirmed,
    FactorAnswer,
    FactorApproved,
    NoFactor,
    SentCode,
    TriesSpent,
    TryTaken,
    WrongConfirmation,
    WrongFactorCode,
)
from otp_service.domain.factors import FactorStatus
from otp_service.storage.schema import Keys
from otp_service.storage.schema.encodings import SentCode as SentCodeText
from otp_service.storage.schema.encodings import TriesInARow
from otp_service.storage.schema.fields import StoreRun
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
from .harness import StoreHarness, Twice, at_once


def test_a_step_is_accepted_once_by_fifty_at_once(harness: StoreHarness) -> None:
    """One of them is approved; the others used it, and that costs no try."""
    subject = new_subject(harness)
    ref = active(harness, subject)
    jobs = [partial(guess, harness, subject, steps=[(ref.token, step_of(harness) + 1)])] * 50
    answers = at_once(jobs)
    assert sum(isinstance(answer, FactorApproved) for answer in answers) == 1
    assert sum(isinstance(answer, CodeUsed) for answer in answers) == 49
    assert tries(harness, subject) == 0


def test_a_recovery_code_is_accepted_once_by_fifty_at_once(harness: StoreHarness) -> None:
    """And one is left out of the count."""
    subject = new_subject(harness)
    ref, digests = codes(harness, subject)
    answers = at_once([partial(guess, harness, subject, recovery=(ref.token, digests[3]))] * 50)
    approved = [answer for answer in answers if isinstance(answer, FactorApproved)]
    assert [answer.codes_left for answer in approved] == [9]
    assert sum(isinstance(answer, CodeUsed) for answer in answers) == 49
    assert [one.codes_left for one in harness.factors.read(subject).all] == [9]


def test_fifty_wrong_guesses_at_once_get_as_many_judgements_as_in_a_row(harness: StoreHarness) -> None:
    """Five, over all factors together; then a wait of 30 seconds."""
    subject = new_subject(harness)
    ref, _ = codes(harness, subject)
    app = active(harness, subject)
    wrong_recovery = partial(guess, harness, subject, recovery=(ref.token, "f" * 32))
    wrong_step = partial(guess, harness, subject, steps=[(app.token, step_of(harness) - 5)])
    sent = partial(guess, harness, subject, more=True)
    answers = at_once([wrong_recovery, wrong_step, sent, wrong_recovery, wrong_step] * 10)
    judged = [answer for answer in answers if isinstance(answer, WrongFactorCode | TryTaken)]
    waits = [answer.wait_ms for answer in answers if isinstance(answer, TriesSpent)]
    assert (len(judged), len(waits), tries(harness, subject)) == (5, 45, 5)
    assert all(0 < wait <= 30_000 for wait in waits)


@pytest.mark.parametrize(
    ("in_a_row", "wait_ms"),
    [(5, 30_000), (6, 60_000), (7, 120_000), (11, 1_920_000), (12, 3_600_000), (13, 3_600_000), (99, 3_600_000)],
)
def test_the_wait_doubles_up_to_an_hour(server_harness: StoreHarness, in_a_row: int, wait_ms: int) -> None:
    """Just before its end a guess is refused, after it one more is judged."""
    subject = new_subject(server_harness)
    codes(server_harness, subject)
    set_tries(server_harness, subject, in_a_row, wait_ms - 10_000)
    answer = guess(server_harness, subject)
    assert isinstance(answer, TriesSpent)
    assert answer.wait_ms <= 10_000
    set_tries(server_harness, subject, in_a_row, wait_ms)
    assert guess(server_harness, subject) == WrongFactorCode(0)
    assert tries(server_harness, subject) == in_a_row + 1


def test_a_hundred_in_a_row_end_it(server_harness: StoreHarness) -> None:
    """Whatever time passes, also a right code is judged no more, and the count has no end of its own."""
    harness, subject = server_harness, new_subject(server_harness)
    app = active(harness, subject)
    set_tries(harness, subject, 99, 10**8)
    assert guess(harness, subject) == WrongFactorCode(0)
    set_tries(harness, subject, 100, 10**10)
    assert guess(harness, subject, steps=[(app.token, step_of(harness) + 1)]) == TriesSpent(3_600_000, for_ever=True)
    harness.factors.remove(operation(), subject, app)
    assert harness.raw.pttl(harness.keys.subject(subject.hash)) > 0
    set_tries(harness, subject, 99, 10**8)
    guess(harness, subject)
    assert harness.raw.pttl(harness.keys.subject(subject.hash)) == -1


def test_an_approval_ends_the_row(server_harness: StoreHarness) -> None:
    """Then five are free again."""
    harness, subject = server_harness, new_subject(server_harness)
    app = active(harness, subject)
    for left in (4, 3, 2, 1):
        assert guess(harness, subject) == WrongFactorCode(left)
    assert isinstance(guess(harness, subject, steps=[(app.token, step_of(harness) + 1)]), FactorApproved)
    assert guess(harness, subject) == WrongFactorCode(4)


def test_a_clock_that_is_set_back_adds_no_wait(server_harness: StoreHarness) -> None:
    """A time of the future counts as that of the first look: the wait ends though the clock is not there yet."""
    harness, subject = server_harness, new_subject(server_harness)
    codes(harness, subject)
    set_tries(harness, subject, 5, -(10**9))
    assert guess(harness, subject) == TriesSpent(30_000)
    kept = TriesInARow.parse(harness.raw.hget(harness.keys.subject(subject.hash), SubjectField.WRONG))
    assert (kept[0], int(kept[1]) <= harness.now()) == ("5", True)


def test_only_steps_near_the_stores_clock_are_accepted(server_harness: StoreHarness) -> None:
    """Whatever clock the process had that compared the code."""
    harness, subject = server_harness, new_subject(server_harness)
    app = active(harness, subject)
    for drift in (-3, 3):
        answer = guess(harness, subject, steps=[(app.token, step_of(harness) + drift)])
        assert isinstance(answer, WrongFactorCode)


def test_a_step_that_was_used_costs_no_try_where_more_is_asked(server_harness: StoreHarness) -> None:
    """It is told that the code was used before, and nothing else is asked."""
    harness, subject = server_harness, new_subject(server_harness)
    app = active(harness, subject)
    step = step_of(harness) + 1
    guess(harness, subject, steps=[(app.token, step)])
    assert guess(harness, subject, steps=[(app.token, step)], more=True) == CodeUsed()
    assert tries(harness, subject) == 0


def test_a_reply_that_was_lost_is_given_again(harness: StoreHarness) -> None:
    """Every step run twice: the second reply is the first one's, and nothing happened twice."""
    twice = StoreHarness(harness.store, Keys(16), Twice(harness.store), harness.ring)
    subject = new_subject(twice)
    ref = enroll(twice, subject)
    here = step_of(twice)
    assert twice.factors.confirm(operation(), subject, ref, [here - 1, here]) == Confirmed()
    assert isinstance(guess(twice, subject, steps=[(ref.token, step_of(twice) + 1)]), FactorApproved)
    recovery, digests = codes(twice, subject)
    approved = guess(twice, subject, recovery=(recovery.token, digests[0]))
    assert isinstance(approved, FactorApproved)
    assert approved.codes_left == 9
    sent = new_reference(twice, subject)
    twice.factors.note_sent(SentCode(subject, "bind", sent, True, twice.ring.seal(b"n")))
    code = ApprovedCode(subject, "bind", sent, "+1******0143", new_reference(twice, subject))
    settled = twice.factors.approve_sent(operation(), code)
    assert settled is not None
    assert settled.factor == code.new
    events = [event["type"] for event in twice.audited_in(twice.keys.shard(subject.hash))]
    assert [events.count(kind) for kind in ("factor.added", "factor.approved")] == [2, 3]
    assert twice.factors.rename(subject, ref, "x")
    assert twice.factors.remove(operation(), subject, ref)
    assert len(twice.factors.read(subject).all) == 2
    assert not twice.factors.remove(operation(), subject, ref)


def test_old_codes_for_many_purposes_are_forgotten(harness: StoreHarness) -> None:
    """Purposes are the caller's words, and the hash of a subject with a factor stays: 200 of them leave nothing."""
    subject = new_subject(harness)
    active(harness, subject)
    name = harness.keys.subject(subject.hash)

    def note(purpose: str) -> None:
        harness.factors.note_sent(SentCode(subject, purpose, new_reference(harness, subject), True))

    def age(purpose: str) -> None:
        *rest, at_ms = SentCodeText.parse(harness.raw.hget(name, f"{SubjectField.SENT}{purpose}") or "")
        aged = SentCodeText.pack(*rest, int(at_ms) - 86_400_001)
        harness.raw.hset(name, f"{SubjectField.SENT}{purpose}", aged)

    for number in range(200):
        note(f"p{number}")
    assert len(harness.factors.read(subject).sent) == 200
    for number in range(199):
        age(f"p{number}")
    note("new")
    factors = harness.factors.read(subject)
    assert (set(factors.sent), len(factors.authenticators)) == ({"p199", "new"}, 1)
    assert harness.raw.ttl(name) == -1
    age("p199")
    note("new")
    assert set(harness.factors.read(subject).sent) == {"p199", "new"}  # few cost nothing


def test_confirmation_counts_before_it_compares(harness: StoreHarness) -> None:
    """Fifty at once with one right code among them: five judgements at most."""
    subject = new_subject(harness)
    ref = enroll(harness, subject)
    answers = at_once([partial(harness.factors.confirm, operation(), subject, ref, []) for _ in range(50)])
    assert sorted(answer.checks_left for answer in answers if isinstance(answer, WrongConfirmation)) == [
        *[0] * 46,
        *range(1, 5),
    ]
    answer = harness.factors.confirm(operation(), subject, ref, [step_of(harness)])
    assert answer == WrongConfirmation(0)
    assert harness.raw.exists(harness.keys.enrollment(ref)) == 0


def test_ten_apps_enrolled_at_once_are_ten(harness: StoreHarness) -> None:
    """The eleventh is refused; one that was not confirmed in time takes no place."""
    subject = new_subject(harness)
    for _ in range(9):
        enroll(harness, subject)

    def one_more() -> bool:
        try:
            return bool(enroll(harness, subject))
        except AssertionError:
            return False

    assert sorted(at_once([one_more] * 5)) == [False] * 4 + [True]
    first = harness.factors.read(subject).all[0]
    harness.raw.hset(harness.keys.subject(subject.hash), f"{first.reference.token}:confirm_by_ms", 1)
    assert one_more()
    names = harness.raw.hkeys(harness.keys.subject(subject.hash))
    assert not [name for name in names if name.startswith(first.reference.token)]


def test_factors_have_no_end_and_what_is_pending_has(harness: StoreHarness) -> None:
    """A subject with an active factor is kept for ever; without one for thirty days."""
    subject = new_subject(harness)
    key = harness.keys.subject(subject.hash)
    ref = enroll(harness, subject)
    assert 0 < harness.raw.pttl(key) <= 30 * 86_400_000
    assert 0 < harness.raw.pttl(harness.keys.enrollment(ref)) <= 900_000
    harness.factors.confirm(operation(), subject, ref, [step_of(harness)])
    assert harness.raw.pttl(key) == -1
    assert harness.raw.exists(harness.keys.enrollment(ref)) == 0
    assert [one.status for one in harness.factors.read(subject).all] == [FactorStatus.ACTIVE]
    harness.factors.remove(operation(), subject, ref)
    assert 0 < harness.raw.pttl(key) <= 30 * 86_400_000


def test_nobody_elses_factor_is_found(server_harness: StoreHarness) -> None:
    """A subject of another app, and a factor that was never made."""
    harness, subject = server_harness, new_subject(server_harness)
    other = new_subject(harness, "bank")
    ref = active(harness, subject)
    foreign = type(subject)("bank", subject.hash, subject.sub)
    assert harness.factors.read(foreign).all == ()
    assert not harness.factors.rename(foreign, ref, "x")
    assert not harness.factors.remove(operation(), foreign, ref)
    assert harness.factors.confirm(operation(), foreign, ref, []) == NoFactor()
    assert harness.factors.enrollment(other, new_reference(harness, other)) is None


def test_a_secret_is_sealed_and_a_recovery_code_is_a_keyed_hash(server_harness: StoreHarness) -> None:
    """Nothing in the store opens without the keyring."""
    harness, subject = server_harness, new_subject(server_harness)
    active(harness, subject)
    assert harness.ring.open(harness.factors.read(subject).authenticators[0].sealed) == b"s" * 20
    assert b"s" * 20 not in b"".join(
        value.encode("utf-8", "surrogateescape")
        for value in harness.raw.hgetall(harness.keys.subject(subject.hash)).values()
    )


def test_an_operator_lifts_the_row(server_harness: StoreHarness) -> None:
    """Also a hundred in a row; the reason is on record, once."""
    harness, subject = server_harness, new_subject(server_harness)
    app = active(harness, subject)
    set_tries(harness, subject, 100, 0)
    assert [harness.factors.lift(subject, "called") for _ in range(2)] == [100, 0]
    assert isinstance(guess(harness, subject, steps=[(app.token, step_of(harness) + 1)]), FactorApproved)
    events = [
        event for event in harness.audited_in(harness.keys.shard(subject.hash)) if event["type"] == "factor.lifted"
    ]
    assert len(events) == 1
    assert '"reason":"called"' in events[0]["detail"]


def test_what_the_last_second_of_the_store_costs(server_harness: StoreHarness) -> None:
    """A lost enrollment is not found: the person enrols again. A lost confirmation is confirmed again with its code.

    A lost wrong code is one try more. Each is played by putting back what was there before.
    """
    harness, subject = server_harness, new_subject(server_harness)
    codes(harness, subject)
    key = harness.keys.subject(subject.hash)

    def lose(*keys: str, do: Callable[[], object]) -> None:
        before = {one: harness.raw.hgetall(one) for one in keys}
        do()
        for one, kept in before.items():
            harness.raw.delete(one)
            if kept:
                harness.raw.hset(one, mapping=kept)

    lost = new_reference(harness, subject)
    lose(key, harness.keys.enrollment(lost), do=lambda: enroll(harness, subject, lost))
    assert harness.factors.confirm(operation(), subject, lost, [step_of(harness)]) == NoFactor()
    ref, step = enroll(harness, subject), step_of(harness)

    def confirm() -> object:
        return harness.factors.confirm(operation(), subject, ref, [step - 1, step, step + 1])

    lose(key, harness.keys.enrollment(ref), do=confirm)
    assert confirm() == Confirmed()
    lose(key, do=lambda: guess(harness, subject))
    assert guess(harness, subject) == WrongFactorCode(4)


def test_a_store_that_was_put_back_takes_no_step_of_before(server_harness: StoreHarness) -> None:
    """Whatever it forgot: the steps that could be used before its present run are taken as used, and no try is spent.

    Where nothing was lost, or where the run began long enough ago, the next step is accepted.
    """
    harness, subject = server_harness, new_subject(server_harness)
    app = active(harness, subject)
    key, run = harness.keys.subject(subject.hash), harness.keys.run(harness.keys.shard(subject.hash))
    receipt = operation()
    harness.raw.hset(key, f"{app.token}:run", "another")
    present = harness.raw.info("replication")["master_replid"][:12]
    noted = {StoreRun.RUN: present, StoreRun.AFTER_RESTART: "end_codes", StoreRun.KEPT: ""}

    def next_step(receipt_id: str = "r") -> FactorAnswer:
        return guess(harness, subject, steps=[(app.token, step_of(harness) + 1)], receipt_id=receipt_id)

    harness.raw.delete(run)  # a service that other tests run in this process may have noted it
    assert next_step() == CodeUsed()  # nobody has noted the run yet

    def right_after_its_beginning(_: int) -> FactorAnswer:
        harness.raw.hset(run, mapping={**noted, StoreRun.SINCE: harness.now()})
        return next_step()

    assert in_one_step(harness, right_after_its_beginning) == CodeUsed()
    harness.raw.hset(run, mapping={StoreRun.RUN: "undecided", StoreRun.AFTER_RESTART: "keep_codes"})
    with pytest.raises(StoreUnavailable):
        next_step()
    assert tries(harness, subject) == 0
    harness.raw.hset(run, mapping={**noted, StoreRun.SINCE: harness.now() - 90_000})
    assert isinstance(next_step(receipt), FactorApproved)
    # Who spent it and was not told is told so in any run.
    spending = operation()
    assert isinstance(harness.factors.redeem(spending, subject, app, receipt, harness.now() + 60_000), Redeemed)
    harness.raw.set(harness.keys.factor_receipt(subject.hash, receipt), f"another|{spending}|5", keepttl=True)
    assert harness.factors.redeem(spending, subject, app, receipt, 0) == Redeemed(5, True, mask="", purpose="")
    # A receipt of another run may have been spent.
    spent = harness.keys.factor_receipt(subject.hash, receipt)
    harness.raw.set(spent, "another||", keepttl=True)
    assert harness.factors.redeem(operation(), subject, app, receipt, harness.now() + 60_000) == NotFound()
    # Also one whose codes live on: nobody compares what callers were told of redeemed receipts.
    harness.raw.hset(run, StoreRun.KEPT, "another")
    assert harness.factors.redeem(operation(), subject, app, receipt, harness.now() + 60_000) == NotFound()
