"""What a check asserts is compared in the same step that counts; an approved request gets its approval again."""

from functools import partial
from typing import Any

import pytest

from otp_service.domain.operation import Approved, CheckAnswer, Ended, NotFound, Wrong
from otp_service.domain.verification import Status

from .house import BANK, CODE, WRONG, House, Twice, at_once, fresh_number, word


def told(house: House) -> dict[str, str]:
    """Everything in the store but the replies that are kept for a repeat of one operation."""
    return {key: value for key, value in house.snapshot().items() if ":op:" not in key}


@pytest.mark.parametrize("code", [CODE, WRONG])
@pytest.mark.parametrize("by_purpose", [None, "pay"])
def test_what_is_not_as_asserted_is_not_there(house: House, code: str, by_purpose: str | None) -> None:
    """Another number or purpose is not found with the right code as with a wrong one, and changes nothing at all."""
    number, other = fresh_number(), fresh_number()
    ref = house.start(number, purpose="pay").reference
    before = told(house)
    for asserted in (
        {"asserted_number": house.hash_of(other)},
        {"asserted_purpose": "login"},
        {"asserted_purpose": "PAY"},
        {"asserted_number": house.hash_of(number), "asserted_purpose": "login"},
        {"asserted_number": house.hash_of(other), "asserted_purpose": "pay"},
    ):
        asked: dict[str, Any] = {**asserted, "by_purpose": by_purpose, "request_key": word("key")}
        assert house.check(ref, code, **asked) == NotFound()
    assert told(house) == before
    fitting: dict[str, Any] = {"asserted_number": house.hash_of(number), "asserted_purpose": "pay"}
    assert house.check(ref, WRONG, **fitting) == Wrong(4)
    assert isinstance(house.check(ref, CODE, **fitting), Approved)


@pytest.mark.parametrize("end", ["expired", "canceled", "exhausted", "approved"])
def test_the_end_of_another_persons_verification_is_not_told(house: House, end: str) -> None:
    """Nor is it ended by the question: a time that has run out is noticed by those only whom it concerns."""
    ref = house.start(fresh_number()).reference
    if end == "expired":
        house.age(ref, 400_000)
    elif end == "canceled":
        house.verifications.cancel(word(), ref, "shop")
    else:
        for _ in range(5):
            house.check(ref, WRONG if end == "exhausted" else CODE)
    before = told(house)
    assert house.check(ref, CODE, asserted_number=house.hash_of(fresh_number())) == NotFound()
    assert house.check(ref, CODE, asserted_purpose="pay") == NotFound()
    assert told(house) == before
    assert house.check(ref, CODE, asserted_purpose="login") == Ended(Status(end))


def test_an_approved_request_gets_its_approval_again(house: House) -> None:
    """The same approval word for word, however often, and for no other key, app or assertion."""
    number = fresh_number()
    ref = house.start(number).reference
    key = word("key")
    first = house.check(ref, CODE, request_key=key)
    assert isinstance(first, Approved)
    assert first.mask == f"+1******{number[-4:]}"
    before = told(house)
    for _ in range(3):
        assert house.check(ref, CODE, request_key=key) == first
    for other in ("", word("key"), key[:-1]):
        assert house.check(ref, CODE, request_key=other) == Ended(Status.APPROVED)
    assert house.check(ref, CODE, BANK, request_key=key) == NotFound()
    assert house.check(ref, CODE, request_key=key, asserted_purpose="pay") == NotFound()
    assert told(house) == before


def test_without_a_key_nothing_is_repeated(house: House) -> None:
    """An approval that was asked for without a key is found by none, the empty one least of all."""
    ref = house.start(fresh_number()).reference
    assert isinstance(house.check(ref, CODE), Approved)
    for key in ("", word("key")):
        assert house.check(ref, CODE, request_key=key) == Ended(Status.APPROVED)


def test_a_refusal_is_kept_under_no_key(house: House) -> None:
    """A wrong code that comes again under its key is judged again and costs a try; so is the right one after it."""
    ref = house.start(fresh_number()).reference
    key = word("key")
    for left in (4, 3, 2):
        assert house.check(ref, WRONG, request_key=key) == Wrong(left)
    assert isinstance(house.check(ref, CODE, request_key=key), Approved)


def test_many_repeats_at_once_are_one_approval(house: House) -> None:
    """Fifty of one key at once: one approval, told fifty times; one event, one receipt."""
    ref = house.start(fresh_number()).reference
    key = word("key")
    answers = at_once([partial(house.check, ref, CODE, request_key=key)] * 50)
    assert len(set(answers)) == 1
    assert isinstance(answers[0], Approved)
    assert house.events(ref).count("verification.approved") == 1
    assert house.record(ref)["receipt"] == answers[0].receipt_id


def test_a_lost_reply_is_no_repeat_by_the_caller(house: House, store_url: str) -> None:
    """The store's client runs a script again where the reply was lost: the order's own receipt id shows whose it is."""
    twice = House.open(store_url, Twice)
    ref = house.start(fresh_number()).reference
    order = twice.guess(ref, CODE, request_key=word("key"))
    answer: CheckAnswer = twice.verifications.check(order)
    assert isinstance(answer, Approved)
    assert answer.receipt_id == order.receipt_id
    twice.close()
