"""Checking: only an approval of the store is one, and it is signed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from otp_service.domain import receipt
from otp_service.domain.checking import Approved
from otp_service.domain.errors import InvalidNumber, NotReady, StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.verification import ENDED_CODE, Status
from otp_service.usecases.verify import Asserted, Verify, seconds
from tests.fakes import FakeVerifications, Secrets, verification_view

from .parts import (
    NEWER,
    NUMBER,
    PERSON,
    REF,
    RIGHT,
    RING,
    CheckRequest,
    StartRequest,
    begun,
    guess,
    late,
    refused,
    use_cases,
)

DAY_MS = 86_400_000


def approved(verify: Verify, ref: Reference, key: str = "") -> Approved:
    """The right guess, which is approved."""
    answer = verify.check("shop", guess(ref, RIGHT), key)
    assert isinstance(answer, Approved)
    return answer


def test_only_an_approval_is_one() -> None:
    """Each other answer of the store is a refusal with its code; none of them carries a receipt."""
    store = FakeVerifications()
    verify = use_cases(store)
    ref = begun(verify)
    for left in (4, 3):
        wrong = refused(verify.check("shop", guess(ref)))
        assert (wrong.code, wrong.fields) == ("code_incorrect", {"checks_left": left})
    store.wrong[NUMBER, "shop"] = [store.now_ms - DAY_MS + 1_500] * 20
    limited = refused(verify.check("shop", guess(ref, RIGHT)))
    assert (limited.code, limited.retry_after_s) == ("too_many_wrong_codes", 2)
    assert refused(verify.check("shop", guess(REF, RIGHT))).code == "verification_not_found"
    assert refused(verify.check("abroad", guess(ref, RIGHT))).code == "verification_not_found"


@pytest.mark.parametrize(("status", "code"), ENDED_CODE.items())
def test_what_has_ended_says_how(status: Status, code: str) -> None:
    """Whatever the guess."""
    verify = use_cases(FakeVerifications({REF: verification_view(REF, status=status)}))
    assert refused(verify.check("shop", guess(REF, RIGHT))).code == code


def test_an_approval_carries_the_signed_receipt() -> None:
    """It names app, person, purpose and verification, and is signed by the active key."""
    store = FakeVerifications(now_ms=1_790_000_000_999, subject=RING.ids.subject)
    verify = use_cases(store)
    ref = begun(verify)
    answer = approved(verify, ref)
    approval = answer.approval
    assert approval.receipt not in repr(answer)
    claims = receipt.decode(approval.receipt, RING.verify)
    assert claims is not None
    assert claims["iss"] == "https://otp.example"
    assert (claims["aud"], claims["jti"], claims["purpose"]) == ("shop", store.asked[-1].receipt_id, "login")
    assert claims["verification_id"] == ref.verification_id
    assert claims["sub"] == RING.ids.subject("shop", NUMBER)
    # Two seconds before the approval, for verifiers whose clock is behind.
    assert claims["iat"] == 1_790_000_000 - 2
    assert PERSON not in json.dumps(claims)
    public = (approval.to, approval.purpose, approval.channel, approval.sub)
    assert public == ("+1******0143", "login", "sms", claims["sub"])


def test_what_is_asserted_goes_into_the_command() -> None:
    """The number as its keyed hash, the purpose as it is; the store compares both with the record."""
    store = FakeVerifications()
    verifying = use_cases(store)
    ref = begun(verifying)
    asserting = replace(guess(ref), to=PERSON, purpose="pay")
    assert refused(verifying.check("shop", asserting, "k")).code == "verification_not_found"
    assert refused(verifying.check("shop", guess(ref))).code == "code_incorrect"
    _, with_assertions, without = store.asked
    assert (with_assertions.asserted_number, with_assertions.asserted_purpose, with_assertions.request_key) == (
        NUMBER,
        "pay",
        "k",
    )
    assert (without.asserted_number, without.asserted_purpose, without.request_key) == ("", "", "")
    with pytest.raises(InvalidNumber):
        verifying.check("shop", replace(guess(ref), to="12025550143"))
    assert PERSON not in repr(Asserted(to=PERSON))


def test_a_repeat_of_an_approval_is_the_same_receipt() -> None:
    """The claims hang on the first approval alone, and the signature is deterministic (RFC 8032)."""
    verifying = use_cases()
    ref = begun(verifying)
    first, second, third = [approved(verifying, ref, "k") for _ in range(3)]
    assert (first.replayed, second.replayed) == (False, True)
    assert replace(first, replayed=True) == second == third


def test_a_guess_is_digested_under_every_pepper_and_never_kept() -> None:
    """The command holds digests only; the same guess makes the same digest, another operation."""
    store = FakeVerifications()
    verifying = use_cases(store)
    ref = begun(verifying)
    for _ in range(2):
        verifying.check("shop", replace(guess(ref), context={"a": "b"}))
    _, first, second = store.asked
    assert first.digests == second.digests
    assert set(first.digests) == set(RING.peppers)
    assert first.operation_id != second.operation_id
    assert first.receipt_id != second.receipt_id
    assert "123456" not in repr(first)


@pytest.mark.parametrize("text", ["", "vrf_x", "dlv_x-1", REF.token, "\ud800"])
def test_an_id_that_cannot_be_ours_is_unknown(text: str) -> None:
    """The same refusal as for one that does not exist, without asking."""
    store = FakeVerifications()
    assert refused(use_cases(store).check("shop", CheckRequest(verification_id=text))).code == "verification_not_found"
    assert refused(use_cases(store).cancel("shop", text)).code == "verification_not_found"
    assert store.asked == []


def test_by_number_the_latest_is_judged() -> None:
    """In one call, and with digests that any process can make."""
    store = FakeVerifications({REF: verification_view(REF, purpose="pay", status=Status.CANCELED)})
    verify = use_cases(store)
    ref = begun(verify, StartRequest(PERSON, purpose="pay"))
    answer = verify.check("shop", CheckRequest(RIGHT, to=PERSON, purpose="pay"))
    assert isinstance(answer, Approved)
    assert answer.approval.verification_id == ref.verification_id
    assert [(one.reference, one.by_purpose) for one in store.asked[1:]] == [(Reference("", NUMBER), "pay")]


def test_a_refusal_by_number_names_the_verification_for_the_log() -> None:
    """Where there is none it names none."""
    verify = use_cases()
    ref = begun(verify, StartRequest(PERSON))
    refusal = refused(verify.check("shop", CheckRequest(to=PERSON)))
    assert (refusal.code, refusal.verification_id) == ("code_incorrect", ref.verification_id)
    nobody = refused(verify.check("shop", CheckRequest(to=PERSON, purpose="pay")))
    assert (nobody.code, nobody.verification_id) == ("verification_not_found", None)
    with pytest.raises(InvalidNumber):
        verify.check("shop", CheckRequest(to="12025550143"))


def test_a_store_that_cannot_answer_approves_nobody() -> None:
    """The exception goes up: no code path turns it into an answer."""
    store = FakeVerifications()
    verify = use_cases(store)
    ref = begun(verify)
    store.fault = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        verify.check("shop", guess(ref, RIGHT))


def of_a_newer_key() -> FakeVerifications:
    """A verification whose code was made with the newer key: only a command with a digest under it can be judged."""
    return FakeVerifications({REF: verification_view(REF)}, {REF: Secrets(NEWER.active_kid, "00")})


def test_a_code_made_with_a_key_that_came_meanwhile_is_judged(tmp_path: Path) -> None:
    """The file is looked at again, and the guess is judged once, under all keys."""
    store = of_a_newer_key()
    answer = use_cases(store, ring=late(tmp_path, comes=True)).check("shop", guess(REF))
    assert refused(answer).code == "code_incorrect"
    assert [NEWER.active_kid in command.digests for command in store.asked] == [False, True]
    assert store.views[REF].attempts == 3


def test_a_code_made_with_a_key_that_does_not_come_is_no_verdict(tmp_path: Path) -> None:
    """503, and no guess is lost; another process may have the key."""
    store = of_a_newer_key()
    verify = use_cases(store, ring=late(tmp_path, comes=False))
    for request in (guess(REF), CheckRequest(to=PERSON)):
        with pytest.raises(NotReady):
            verify.check("shop", request)
    assert store.views[REF].attempts == 2


def test_waits_are_whole_seconds_that_suffice() -> None:
    """Rounded up, at least one."""
    assert [seconds(ms) for ms in (-5, 0, 1, 1_000, 1_001, 59_999)] == [1, 1, 1, 1, 2, 60]
