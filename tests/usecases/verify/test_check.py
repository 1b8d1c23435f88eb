"""Checking: only an approval of the store is one, and it is signed."""

import json
from dataclasses import replace

import pytest

from otp_service.domain import receipt
from otp_service.domain.checking import Approved, CheckAnswer, CheckCommand, Limited, Superseded, Wrong
from otp_service.domain.ending import Ended, NotFound
from otp_service.domain.errors import InvalidNumber, KeyUnknown, NotReady, Refusal, StoreUnavailable
from otp_service.domain.verification import ENDED_CODE
from otp_service.usecases.verify import Asserted, seconds
from tests.fakes import FakeVerifications

from .parts import (
    BY_NUMBER,
    GUESS,
    NEWER,
    NUMBER,
    PERSON,
    REF,
    RING,
    CheckRequest,
    approved,
    late,
    refused,
    replying,
    use_cases,
)


def check(store: FakeVerifications) -> Approved | Refusal:
    """A guess by id."""
    return use_cases(store).check("shop", GUESS)


def test_only_an_approval_is_one() -> None:
    """Each other answer of the store is a refusal with its code; none of them carries a receipt."""
    table: list[tuple[CheckAnswer, str]] = [
        (Wrong(3), "code_incorrect"),
        (Limited(1_500), "too_many_wrong_codes"),
        (NotFound(), "verification_not_found"),
        *[(Ended(status), code) for status, code in ENDED_CODE.items()],
    ]
    for answer, code in table:
        refusal = refused(check(replying(answer)))
        assert refusal.code == code
    assert refused(check(replying(Wrong(3)))).fields == {"checks_left": 3}
    assert refused(check(replying(Limited(1_500)))).retry_after_s == 2


def test_an_approval_carries_the_signed_receipt() -> None:
    """It names app, person, purpose and verification, and is signed by the active key."""
    answer = check(replying(approved()))
    assert isinstance(answer, Approved)
    approval = answer.approval
    assert approval.receipt not in repr(answer)
    claims = receipt.decode(approval.receipt, RING.verify)
    assert claims is not None
    assert claims["iss"] == "https://otp.example"
    assert (claims["aud"], claims["jti"], claims["purpose"]) == ("shop", "receipt-1", "login")
    assert claims["verification_id"] == REF.verification_id
    assert claims["sub"] == RING.ids.subject("shop", NUMBER)
    assert claims["iat"] == 1_790_000_000
    assert PERSON not in json.dumps(claims)
    public = (approval.to, approval.purpose, approval.channel, approval.sub)
    assert public == ("+1******0143", "login", "sms", claims["sub"])


def test_what_is_asserted_goes_into_the_command() -> None:
    """The number as its keyed hash, the purpose as it is; the store compares both with the record."""
    store = replying(NotFound(), Wrong(4))
    verifying = use_cases(store)
    verifying.check("shop", replace(GUESS, to=PERSON, purpose="pay"), "k")
    verifying.check("shop", GUESS)
    with_assertions, without = store.asked
    assert (with_assertions.asserted_number, with_assertions.asserted_purpose, with_assertions.request_key) == (
        NUMBER,
        "pay",
        "k",
    )
    assert (without.asserted_number, without.asserted_purpose, without.request_key) == ("", "", "")
    with pytest.raises(InvalidNumber):
        verifying.check("shop", replace(GUESS, to="12025550143"))
    assert PERSON not in repr(Asserted(to=PERSON))


def test_a_repeat_of_an_approval_is_the_same_receipt() -> None:
    """The claims hang on the first approval alone, and the signature is deterministic (RFC 8032)."""
    store = replying(*[approved("first", replayed=True) for _ in range(2)])
    verifying = use_cases(store)
    answers = [verifying.check("shop", GUESS, "k") for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0] is not answers[1]
    assert isinstance(answers[0], Approved)


def test_a_guess_is_digested_under_every_pepper_and_never_kept() -> None:
    """The command holds digests only; the same guess makes the same digest, another operation."""
    store = replying(Wrong(4), Wrong(3))
    verifying = use_cases(store)
    for _ in range(2):
        verifying.check("shop", replace(GUESS, context={"a": "b"}))
    first, second = store.asked
    assert first.digests == second.digests
    assert set(first.digests) == set(RING.peppers)
    assert first.operation_id != second.operation_id
    assert first.receipt_id != second.receipt_id
    assert "123456" not in repr(first)


@pytest.mark.parametrize("text", ["", "vrf_x", "dlv_x-1", REF.token, "\ud800"])
def test_an_id_that_cannot_be_ours_is_unknown(text: str) -> None:
    """The same refusal as for one that does not exist, without asking."""
    store = replying()
    assert refused(use_cases(store).check("shop", CheckRequest(verification_id=text))).code == "verification_not_found"
    assert refused(use_cases(store).cancel("shop", text)).code == "verification_not_found"
    assert store.asked == []


def test_by_number_the_latest_is_followed() -> None:
    """One that is overtaken while it is judged gives way to the newer; three times at most."""
    store = replying(Superseded(), approved())
    answer = use_cases(store).check("shop", BY_NUMBER)
    assert isinstance(answer, Approved)
    assert store.asked[0] == (NUMBER, "shop", "pay")
    assert store.asked[1].by_purpose == "pay"
    restless = replying(*[Superseded()] * 3)
    refusal = refused(use_cases(restless).check("shop", BY_NUMBER))
    assert (refusal.code, refusal.retry_after_s) == ("store_unavailable", 1)
    nobody = replying(last=None)
    assert refused(use_cases(nobody).check("shop", BY_NUMBER)).code == "verification_not_found"
    with pytest.raises(InvalidNumber):
        use_cases(nobody).check("shop", CheckRequest(to="12025550143"))


def test_a_store_that_cannot_answer_approves_nobody() -> None:
    """The exception goes up: no code path turns it into an answer."""

    with pytest.raises(StoreUnavailable):
        check(FakeVerifications(fault=StoreUnavailable("down")))


def judging(command: CheckCommand) -> CheckAnswer:
    """The code was made with the newer key: a command without a digest under it cannot be judged."""
    if NEWER.active_kid not in command.digests:
        raise KeyUnknown(NEWER.active_kid)
    return Wrong(4)


def test_a_code_made_with_a_key_that_came_meanwhile_is_judged() -> None:
    """The file is looked at again, and the guess is judged once, under all keys."""
    store = replying(judging, judging)
    answer = use_cases(store, ring=late(comes=True)).check("shop", GUESS)
    assert refused(answer).code == "code_incorrect"
    assert [NEWER.active_kid in command.digests for command in store.asked] == [False, True]


def test_a_code_made_with_a_key_that_does_not_come_is_no_verdict() -> None:
    """503, and no guess is lost; another process may have the key."""
    verify = use_cases(replying(*[judging] * 9), ring=late(comes=False))
    with pytest.raises(NotReady):
        verify.check("shop", GUESS)
    with pytest.raises(NotReady):
        verify.check("shop", CheckRequest(to=PERSON))


def test_waits_are_whole_seconds_that_suffice() -> None:
    """Rounded up, at least one."""
    assert [seconds(ms) for ms in (-5, 0, 1, 1_000, 1_001, 59_999)] == [1, 1, 1, 1, 2, 60]
