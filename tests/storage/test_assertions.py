"""What a check asserts is compared in the same step that counts; an approved request gets its approval again."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from otp_service.domain.checking import Approved, CheckAnswer, Wrong
from otp_service.domain.ending import Ended, NotFound
from otp_service.domain.verification import Status

from .harness import BANK, CODE, WRONG, StoreHarness, Twice, at_once, fresh_number, word


def counts(harness: StoreHarness) -> dict[str, str]:
    """Everything in the store."""
    return harness.snapshot()


@pytest.mark.parametrize("code", [CODE, WRONG])
@pytest.mark.parametrize("by_purpose", [None, "pay"])
def test_what_is_not_as_asserted_is_not_there(harness: StoreHarness, code: str, by_purpose: str | None) -> None:
    """Another number or purpose is not found with the right code as with a wrong one, and changes nothing at all."""
    number, other = fresh_number(), fresh_number()
    ref = harness.start(number, purpose="pay").reference
    before = counts(harness)
    for asserted in (
        {"asserted_number": harness.hash_of(other)},
        {"asserted_purpose": "login"},
        {"asserted_purpose": "PAY"},
        {"asserted_number": harness.hash_of(number), "asserted_purpose": "login"},
        {"asserted_number": harness.hash_of(other), "asserted_purpose": "pay"},
    ):
        asked: dict[str, Any] = {**asserted, "by_purpose": by_purpose, "request_key": word("key")}
        assert harness.check(ref, code, **asked) == NotFound()
    assert counts(harness) == before
    fitting: dict[str, Any] = {"asserted_number": harness.hash_of(number), "asserted_purpose": "pay"}
    assert harness.check(ref, WRONG, **fitting) == Wrong(4)
    assert isinstance(harness.check(ref, CODE, **fitting), Approved)


@pytest.mark.parametrize("end", ["expired", "canceled", "exhausted", "approved"])
def test_the_end_of_another_persons_verification_is_not_shown(harness: StoreHarness, end: str) -> None:
    """Nor is it ended by the question: a time that has run out is noticed by those only whom it concerns."""
    ref = harness.start(fresh_number()).reference
    if end == "expired":
        harness.age(ref, 400_000)
    elif end == "canceled":
        harness.verifications.cancel(word(), ref, "shop")
    else:
        for _ in range(5):
            harness.check(ref, WRONG if end == "exhausted" else CODE)
    before = counts(harness)
    assert harness.check(ref, CODE, asserted_number=harness.hash_of(fresh_number())) == NotFound()
    assert harness.check(ref, CODE, asserted_purpose="pay") == NotFound()
    assert counts(harness) == before
    assert harness.check(ref, CODE, asserted_purpose="login") == Ended(Status(end))


def test_an_approved_request_gets_its_approval_again(harness: StoreHarness) -> None:
    """The same approval word for word, however often, and for no other key, app or assertion."""
    number = fresh_number()
    ref = harness.start(number).reference
    key = word("key")
    first = harness.check(ref, CODE, request_key=key)
    assert isinstance(first, Approved)
    assert not first.replayed
    assert first.approval.to == f"+1******{number[-4:]}"
    before = counts(harness)
    for _ in range(3):
        assert harness.check(ref, CODE, request_key=key) == replace(first, replayed=True)
    for other in ("", word("key"), key[:-1]):
        assert harness.check(ref, CODE, request_key=other) == Ended(Status.APPROVED)
    assert harness.check(ref, CODE, BANK, request_key=key) == NotFound()
    assert harness.check(ref, CODE, request_key=key, asserted_purpose="pay") == NotFound()
    assert counts(harness) == before


def test_without_a_key_nothing_is_repeated(harness: StoreHarness) -> None:
    """An approval that was asked for without a key is found by none, the empty one least of all."""
    ref = harness.start(fresh_number()).reference
    assert isinstance(harness.check(ref, CODE), Approved)
    for key in ("", word("key")):
        assert harness.check(ref, CODE, request_key=key) == Ended(Status.APPROVED)


def test_a_refusal_is_kept_under_no_key(harness: StoreHarness) -> None:
    """A wrong code that comes again under its key is judged again and costs a try; so is the right one after it."""
    ref = harness.start(fresh_number()).reference
    key = word("key")
    for left in (4, 3, 2):
        assert harness.check(ref, WRONG, request_key=key) == Wrong(left)
    assert isinstance(harness.check(ref, CODE, request_key=key), Approved)


def test_many_repeats_at_once_are_one_approval(harness: StoreHarness) -> None:
    """Fifty of one key at once: one approval, answered fifty times; one event, one receipt."""
    ref = harness.start(fresh_number()).reference
    key = word("key")
    answers = at_once([partial(harness.check, ref, CODE, request_key=key)] * 50)
    approved = [answer for answer in answers if isinstance(answer, Approved)]
    assert len(approved) == 50
    assert sorted(answer.replayed for answer in approved) == [False] + [True] * 49
    assert {answer.receipt_id for answer in approved} == {harness.record(ref)["receipt_id"]}
    assert all(answer.approval == approved[0].approval for answer in approved)
    assert harness.events(ref).count("verification.approved") == 1


def test_a_lost_reply_is_no_repeat_by_the_caller(harness: StoreHarness, store_url: str) -> None:
    """The store's client runs a script again where the reply was lost: the order's own receipt id shows whose it is."""
    twice = StoreHarness.open(store_url, Twice)
    ref = harness.start(fresh_number()).reference
    command = twice.guess(ref, CODE, request_key=word("key"))
    answer: CheckAnswer = twice.verifications.check(command)
    assert isinstance(answer, Approved)
    assert answer.receipt_id == command.receipt_id
    assert not answer.replayed
    twice.close()
