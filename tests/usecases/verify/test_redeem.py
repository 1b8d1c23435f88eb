"""Redeeming a receipt: once, and only where it belongs."""

from pathlib import Path
from typing import Any, cast

import pytest

from otp_service.domain import receipt
from otp_service.domain.checking import Approved
from otp_service.domain.errors import InvalidNumber, NotReady
from otp_service.usecases.verify import Asserted, Redemption
from tests.fakes import FakeKeyIds, FakeVerifications, Given, verification_view

from .parts import NEWER, PERSON, REF, RIGHT, RING, begun, guess, late, refused, use_cases


def with_receipt() -> FakeVerifications:
    """A store with one approved verification, whose receipt is the one that `token` makes."""
    return FakeVerifications({REF: verification_view(REF, status="approved")}, given={REF: Given("receipt-1")})


def token(**changes: Any) -> str:
    """A receipt of ours, signed, with changed claims."""
    claims = receipt.Claims(
        iss="https://otp.example",
        aud="shop",
        sub="x",
        purpose="login",
        channel="sms",
        context_hash="",
        jti="receipt-1",
        verification_id=REF.verification_id,
        approved_s=1_000,
    ).payload()
    claims.update(changes)

    class Changed:
        def payload(self) -> dict[str, Any]:
            return claims

    return receipt.encode(cast("Any", Changed()), RING.active_kid, RING.sign)


def test_a_receipt_of_a_key_that_only_others_have_is_no_verdict(tmp_path: Path) -> None:
    """Known to some process: 503 until this one has it; known to nobody: no receipt of ours."""
    claims = receipt.Claims(
        "https://otp.example", "shop", "s", "login", "sms", "", "receipt-1", REF.verification_id, 1_000
    )
    newer = receipt.encode(claims, NEWER.active_kid, NEWER.sign)
    known = FakeKeyIds(NEWER.active_kid)
    with pytest.raises(NotReady):
        use_cases(ring=late(tmp_path, comes=False), key_ids=known).redeem("shop", newer)
    assert refused(use_cases(ring=late(tmp_path, comes=False)).redeem("shop", newer)).code == "receipt_invalid"
    came = use_cases(with_receipt(), ring=late(tmp_path, comes=True), key_ids=known)
    assert came.redeem("shop", newer) == Redemption(REF.verification_id, 500, "+1******0143", "login", "s")
    for nonsense in ("", ".", "a.b.c", "x" * 5_000, newer.replace(".", "")):
        assert refused(use_cases(key_ids=known).redeem("shop", nonsense)).code == "receipt_invalid"


def test_a_receipt_is_redeemed_where_it_belongs() -> None:
    """The store is asked with what was signed; a second time it is refused as spent."""
    store = with_receipt()
    verify = use_cases(store)
    assert verify.redeem("shop", token()) == Redemption(REF.verification_id, 500, "+1******0143", "login", "x")
    assert store.asked == [(REF, "shop", "receipt-1", 1_118_000)]
    assert refused(verify.redeem("shop", token())).code == "receipt_spent"
    assert refused(use_cases().redeem("shop", token())).code == "receipt_invalid"


def test_the_receipt_of_an_approval_is_good_for_one_login() -> None:
    """From the start to its end, by nobody but this app."""
    verify = use_cases(FakeVerifications(now_ms=1_790_000_000_000, subject=RING.ids.subject))
    answer = verify.check("shop", guess(begun(verify), RIGHT))
    assert isinstance(answer, Approved)
    assert refused(verify.redeem("abroad", answer.approval.receipt)).code == "receipt_invalid"
    assert isinstance(verify.redeem("shop", answer.approval.receipt), Redemption)
    assert refused(verify.redeem("shop", answer.approval.receipt)).code == "receipt_spent"


@pytest.mark.parametrize(
    "asserted",
    [
        Asserted(to="+12025550144"),
        Asserted(subject="y"),
        Asserted(subject=""),
        Asserted(purpose="pay"),
        Asserted(to=PERSON, subject="x", purpose="pay"),
        Asserted(to="+12025550144", subject="x", purpose="login"),
    ],
)
def test_a_receipt_of_somebody_else_is_not_spent(asserted: Asserted) -> None:
    """One assertion that does not fit is enough: invalid, and the store is not asked."""
    store = with_receipt()
    assert refused(use_cases(store).redeem("shop", token(), asserted)).code == "receipt_invalid"
    assert store.asked == []
    fitting = Asserted(to=PERSON, subject="x", purpose="login")
    assert isinstance(use_cases(store).redeem("shop", token(), fitting), Redemption)
    with pytest.raises(InvalidNumber):
        use_cases(store).redeem("shop", token(), Asserted(to="12025550143"))


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a.b.c",
        token()[:-4] + "AAAA",
        token(iss="https://evil.example"),
        token(aud="bank"),
        token(aud=["shop"]),
        token(jti=None),
        token(exp="soon"),
        token(verification_id=7),
        token(verification_id="vrf_x"),
    ],
)
def test_any_other_receipt_is_invalid_without_asking(bad: str) -> None:
    """Another issuer, app, shape or signature: one and the same refusal."""
    store = with_receipt()
    assert refused(use_cases(store).redeem("shop", bad)).code == "receipt_invalid"
    assert store.asked == []
