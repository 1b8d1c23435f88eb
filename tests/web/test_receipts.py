"""Receipts as others read them: two JOSE libraries, every claim, `acr` by policy, and receipts of changes."""

from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry
from joserfc.jwt import decode as jose_decode

from .conftest import PUBLIC_URL, ApiHarness
from .people import Person

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 wants "Ed25519", and few know it yet

APPROVAL, CHANGE = "otp-receipt+jwt", "otp-factor-change+jwt"


@pytest.fixture
def ann(api: ApiHarness) -> Person:
    """A person without factors."""
    return Person(api, "user-ann", "careful")


def claims(person: Person, token: str, typ: str) -> Mapping[str, Any]:
    """What both libraries read, without leeway and with the published keys alone."""
    keys = person.api.call("GET", "/.well-known/jwks.json", key=None).json
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"]) == ("EdDSA", typ)
    key = jwt.PyJWKSet.from_dict(keys)[header["kid"]]
    read = jwt.decode(token, key, algorithms=["EdDSA"], audience=person.app, issuer=PUBLIC_URL)
    found = jose_decode(token, KeySet.import_key_set(keys), algorithms=["EdDSA"])
    audience, issuer = ClaimsOption(essential=True, value=person.app), ClaimsOption(essential=True, value=PUBLIC_URL)
    JWTClaimsRegistry(iss=issuer, aud=audience).validate(found.claims)
    assert found.claims == read
    return dict(read)


def described(api: ApiHarness, name: str) -> Mapping[str, Any]:
    """The members that the API document describes."""
    schema: Mapping[str, Any] = api.call("GET", "/openapi.json", key=None).json["components"]["schemas"][name]
    assert name in api.call("GET", "/docs", key=None).body.decode()
    return dict(schema["properties"])


def test_a_receipt_names_the_policy_of_its_purpose(ann: Person) -> None:
    """By an app, by a code that was sent with and without a subject; no `acr` where no policy names one."""
    factor_id, to = ann.enrolled(), ann.api.number()
    by_app = claims(ann, ann.check(ann.shown(factor_id), purpose="approve").json["receipt"], APPROVAL)
    assert (by_app["acr"], by_app["kind"], by_app["purpose"]) == ("urn:example:app", "totp", "approve")
    started = ann.api.started(to, "careful", purpose="order")
    sent = claims(ann, ann.api.check(started, ann.api.code(started), "careful").json["receipt"], APPROVAL)
    assert (sent["acr"], sent["amr"]) == ("urn:example:any", ["otp", "sms"])
    assert "acr" not in claims(ann, ann.check(ann.recovery_codes()[0]).json["receipt"], APPROVAL)
    assert {*by_app, *sent} <= set(described(ann.api, "ReceiptClaims"))


def test_only_a_code_that_was_sent_is_bound_to_a_context(ann: Person) -> None:
    """An app and a recovery code show nothing of it: their receipts do not say that it was confirmed."""
    codes, context = ann.recovery_codes(), {"amount": "10.00 EUR"}
    by_code = ann.check(codes[0], context=context)
    assert claims(ann, by_code.json["receipt"], APPROVAL)["context_hash"] is None


def test_each_change_of_factors_has_a_receipt_of_its_own_type(ann: Person) -> None:
    """Confirmed, codes replaced, removed: it names the change, is described, and is no approval."""
    made = ann.enroll()["factor_id"]
    confirmed = ann.confirm(made, ann.shown(made)).json
    codes = ann.call("POST", "/factors/recovery-codes", {"subject": ann.subject}).json
    removed = ann.call("DELETE", f"/factors/{made}")
    sub = ann.check(codes["codes"][0]).json["sub"]
    found = [
        (claims(ann, confirmed["receipt"], CHANGE), "factor_added", made, "totp"),
        (claims(ann, codes["receipt"], CHANGE), "codes_replaced", codes["factor_id"], "recovery_code"),
        (claims(ann, removed.header("Factor-Receipt") or "", CHANGE), "factor_removed", made, "totp"),
    ]
    for read, change, factor_id, kind in found:
        assert (read["change"], read["factor_id"], read["kind"], read["sub"]) == (change, factor_id, kind, sub)
        assert set(read) == set(described(ann.api, "FactorChangeClaims"))
    for token in (confirmed["receipt"], codes["receipt"]):
        ann.call("POST", "/receipts/redeem", {"receipt": token}).problem(422, "receipt_invalid")
        bind = ann.api.start(ann.api.number(), "careful", subject=ann.subject, purpose="bind", proof=token)
        bind.problem(403, "number_not_bound")
    assert "receipt" not in ann.factors()[0]


def test_the_approval_that_binds_a_number_says_so(ann: Person) -> None:
    """The first and another one; the next login with the same number does not."""
    first, second = ann.api.number(), ann.api.number()

    def approved(to: str, **members: object) -> Mapping[str, Any]:
        started = ann.api.started(to, "careful", subject=ann.subject, **members)
        return claims(ann, ann.api.check(started, ann.api.code(started), "careful").json["receipt"], APPROVAL)

    assert (approved(first)["change"], approved(first).get("change")) == ("number_bound", None)
    proof = ann.check(ann.recovery_codes()[0]).json["receipt"]
    bound = approved(second, purpose="bind", proof=proof)
    assert (bound["change"], bound["kind"], bound["purpose"]) == ("number_bound", "sms", "bind")
