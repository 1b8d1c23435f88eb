"""Authenticator apps over the API: enrol, confirm, check, list, rename, remove."""

import base64
import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import jwt
import mintotp
import pyotp
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from otp_service.storage.schema.encodings import TriesInARow
from otp_service.storage.schema.fields import Subject

from .conftest import PUBLIC_URL, ApiHarness
from .people import Person
from .request_examples import UNKNOWN_FACTOR

MISTYPED = "The recovery code was not typed as it was given."


@pytest.fixture
def ann(api: ApiHarness) -> Person:
    """A person without factors."""
    return Person(api, "user-ann")


def test_an_app_is_enrolled_confirmed_used_renamed_and_removed(ann: Person) -> None:
    """The whole life of a factor, in the words of the contract."""
    made = ann.enroll(label="Phone")
    assert set(made) == {
        *("factor_id", "kind", "status", "secret", "uri", "qr_svg", "qr_png", "confirm_by"),
    }
    assert re.fullmatch("fac_[a-z2-7]{32}", made["factor_id"])
    assert (made["kind"], made["status"], len(base64.b32decode(made["secret"]))) == ("totp", "pending", 20)
    assert made["uri"].startswith("otpauth://totp/Acme:Phone?secret=" + made["secret"])
    assert ET.fromstring(made["qr_svg"]).tag.endswith("svg")
    assert base64.b64decode(made["qr_png"]).startswith(b"\x89PNG")
    factor_id = made["factor_id"]
    assert [(one["status"], one["last_used_at"]) for one in ann.factors()] == [("pending", None)]
    ann.check(ann.shown(factor_id)).problem(404, "factor_not_found")  # it counts only when it is confirmed
    confirmed = ann.confirm(factor_id, ann.shown(factor_id))
    assert confirmed.status == 200, confirmed.body
    assert confirmed.json["status"] == "active"
    approved = ann.check(ann.shown(factor_id, 1))
    assert approved.status == 200, approved.body
    assert set(approved.json) == {"status", "approved_at", "factor_id", "kind", "purpose", "sub", "receipt"}
    assert (approved.json["factor_id"], approved.json["kind"]) == (factor_id, "totp")
    renamed = ann.call("PATCH", f"/factors/{factor_id}", {"label": "Old phone"})
    assert (renamed.status, renamed.json["label"]) == (200, "Old phone")
    assert ann.factors() == [renamed.json]
    assert renamed.json["last_used_at"] == approved.json["approved_at"]
    removed = ann.call("DELETE", f"/factors/{factor_id}")
    assert (removed.status, removed.body) == (204, b"")
    assert ann.factors() == []
    ann.call("DELETE", f"/factors/{factor_id}").problem(404, "factor_not_found")
    ann.check(ann.shown(factor_id, 2)).problem(404, "factor_not_found")


def test_a_step_counts_once_and_only_forwards(ann: Person) -> None:
    """One step of drift each way; the text that was typed decides nothing. What was used costs no try."""
    factor_id = ann.enrolled()
    later = ann.shown(factor_id, 1)
    now = ann.shown(factor_id)
    assert ann.check(later).status == 200
    ann.check(later).problem(410, "code_used")
    ann.check(now).problem(410, "code_used")  # the step before one that was accepted
    near = {ann.shown(factor_id, steps) for steps in range(-3, 4)}
    far = next(code for steps in range(9, 20) if (code := ann.shown(factor_id, steps)) not in near)
    ann.check(far).problem(422, "code_incorrect")
    for _ in range(3):
        ann.check(later).problem(410, "code_used")
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 3


@pytest.mark.parametrize(
    "members",
    [
        {"algorithm": "SHA256"},
        {"algorithm": "SHA512", "digits": 8},
        {"period": 60},
        {"algorithm": "SHA256", "digits": 8, "period": 60},
    ],
)
def test_other_hashes_digits_and_periods(ann: Person, members: dict[str, object]) -> None:
    """As the person's app reads them from the address."""
    factor_id = ann.enrolled(**members)
    assert ann.check(ann.shown(factor_id)).status == 200
    ann.check(ann.wrong(14 - len(ann.shown(factor_id)))).problem(404, "factor_not_found")


def three_authenticators(uri: str) -> dict[str, Callable[[int], str]]:
    """What three programs of other people show at a time, from the address alone."""
    query = parse_qs(urlsplit(uri).query)
    secret = query["secret"][0]
    key = base64.b32decode(secret)
    own = pyotp.parse_uri(uri)
    assert isinstance(own, pyotp.TOTP)
    # The library refuses what has fewer than 128 bits; ours have 160.
    other = TOTP(key, 6, SHA1(), 30)
    return {
        "pyotp": own.at,
        "mintotp": lambda second: mintotp.hotp(secret, second // 30),
        "cryptography": lambda second: other.generate(second).decode(),
    }


def test_three_authenticators_log_in(api: ApiHarness) -> None:
    """Each enrols by what the reply holds, confirms and logs in."""
    for name in ("pyotp", "mintotp", "cryptography"):
        person = Person(api, f"user of {name}")
        made = person.enroll()
        app = three_authenticators(made["uri"])[name]
        assert person.confirm(made["factor_id"], app(person.now())).status == 200
        assert person.check(app(person.now() + 30)).status == 200


def test_a_factor_is_confirmed_in_time_and_in_five_tries(ann: Person) -> None:
    """Wrong codes say how many tries are left; then it can never be confirmed."""
    made = ann.enroll()["factor_id"]
    for left in (4, 3, 2, 1):
        assert ann.confirm(made, ann.wrong()).problem(422, "code_incorrect")["checks_left"] == left
    ann.confirm(made, ann.wrong()).problem(410, "attempts_exhausted")
    ann.confirm(made, ann.shown(made)).problem(410, "attempts_exhausted")
    late = ann.enroll()["factor_id"]
    for key in ann.api.store.scan_iter(match=f"*:enrollment:{late.removeprefix('fac_')}"):
        assert 0 < ann.api.store.pttl(key) <= 900_000
        ann.api.store.delete(key)  # as at its end
    ann.confirm(late, ann.shown(late)).problem(410, "factor_expired")
    kept = ann.enrolled()
    assert "active already" in ann.confirm(kept, ann.shown(kept)).problem(410, "code_used")["detail"]
    ann.confirm(UNKNOWN_FACTOR, "123456").problem(404, "factor_not_found")


def test_a_subject_has_ten_authenticator_apps_at_most(ann: Person) -> None:
    """Those to be confirmed are among them; a removed one makes room."""
    made = [ann.enroll(label=f"Phone {number}")["factor_id"] for number in range(10)]
    ann.call("POST", "/factors/totp", {"subject": ann.subject}).problem(409, "too_many_factors")
    assert [one["label"] for one in ann.factors()] == [f"Phone {number}" for number in range(10)]
    assert ann.call("DELETE", f"/factors/{made[3]}").status == 204
    ann.enroll()


@pytest.mark.parametrize(
    "label",
    [
        "Ann's \U0001f4f1",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u06af\u0648\u0634\u06cc\u200c\u0645\u0646",
        "\u79c1\u306e\u3000\u96fb\u8a71",
        "a:b/c?d",
    ],
)
def test_a_label_is_in_the_words_of_the_person(ann: Person, label: str) -> None:
    """Also with the joiners that Persian words and many emoji have, and in the address that the phone scans."""
    made = ann.enroll(label=label)
    assert ann.phone[made["factor_id"]].name == label
    assert ann.call("PATCH", f"/factors/{made['factor_id']}", {"label": f"{label}2"}).json["label"] == f"{label}2"
    ann.call("PATCH", f"/factors/{made['factor_id']}", {"label": "\u202e"}).problem(400, "invalid_request")


def test_only_an_app_can_be_confirmed(ann: Person) -> None:
    """Recovery codes are no authenticator app: there is none of this id."""
    ann.recovery_codes()
    (factor,) = ann.factors()
    ann.confirm(factor["factor_id"], "123456").problem(404, "factor_not_found")


def test_one_factor_can_be_asked_by_its_id(ann: Person) -> None:
    """The budget is the subject's; the code of another factor is wrong here."""
    one, other = ann.enrolled(), ann.enrolled()
    code = ann.shown(other)
    if code not in {ann.shown(one, step) for step in range(-2, 3)}:
        ann.call("POST", f"/factors/{one}/check", {"code": code}).problem(422, "code_incorrect")
    approved = ann.call("POST", f"/factors/{one}/check", {"code": ann.shown(one), "purpose": "pay"})
    assert (approved.status, approved.json["purpose"]) == (200, "pay")
    ann.call("POST", f"/factors/{UNKNOWN_FACTOR}/check", {"code": "123456"}).problem(404, "factor_not_found")


def test_factors_are_an_apps_own(api: ApiHarness) -> None:
    """Another app with the same subject has none of them, and an id of them opens nothing there."""
    mine, other = Person(api, "user-1"), Person(api, "user-1", "other")
    factor_id = mine.enrolled()
    other.phone = mine.phone
    assert other.factors() == []
    other.check(mine.shown(factor_id)).problem(404, "factor_not_found")
    other.confirm(factor_id, mine.shown(factor_id)).problem(404, "factor_not_found")
    for method, path, body in [
        ("PATCH", f"/factors/{factor_id}", {"label": "x"}),
        ("DELETE", f"/factors/{factor_id}", None),
        ("POST", f"/factors/{factor_id}/check", {"code": mine.shown(factor_id)}),
    ]:
        other.call(method, path, body).problem(404, "factor_not_found")
    approved = mine.check(mine.shown(factor_id))
    assert approved.status == 200
    assert "default" not in approved.json["sub"]
    redeemed = other.call("POST", "/receipts/redeem", {"receipt": approved.json["receipt"]})
    redeemed.problem(422, "receipt_invalid")


def test_the_receipt_says_which_factor_it_was(ann: Person) -> None:
    """Signed, spent once, and dated so that a verifier two seconds behind takes it without leeway."""
    factor_id = ann.enrolled()
    approved = ann.check(ann.shown(factor_id), purpose="pay")
    jwks = ann.api.call("GET", "/.well-known/jwks.json", key=None).json
    key = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(approved.json["receipt"])["kid"]]
    claims = jwt.decode(approved.json["receipt"], key, algorithms=["EdDSA"], audience="default", issuer=PUBLIC_URL)
    approved_s = datetime.fromisoformat(approved.json["approved_at"]).timestamp()
    assert claims["iat"] == int(approved_s) - 2
    assert claims["exp"] - claims["iat"] == 120
    assert {name: claims[name] for name in ("sub", "purpose", "amr", "kind", "factor_id")} == {
        "sub": approved.json["sub"],
        "purpose": "pay",
        "amr": ["otp"],
        "kind": "totp",
        "factor_id": factor_id,
    }
    assert not {"verification_id", "channel"} & set(claims)
    receipt = {"receipt": approved.json["receipt"]}
    for asserted in ({"sub": "x"}, {"purpose": "login"}, {"to": "+12025550143"}):
        ann.call("POST", "/receipts/redeem", receipt | asserted).problem(422, "receipt_invalid")
    spent = ann.call("POST", "/receipts/redeem", receipt | {"sub": claims["sub"], "purpose": "pay"})
    assert set(spent.json) == {"factor_id", "redeemed_at", "purpose", "sub"}
    ann.call("POST", "/receipts/redeem", receipt).problem(410, "receipt_spent")


def test_a_lost_answer_is_given_again(ann: Person) -> None:
    """With an Idempotency-Key the same approval and receipt; without, the code was used."""
    factor_id = ann.enrolled()
    body = {"subject": ann.subject, "code": ann.shown(factor_id)}
    named = {"Idempotency-Key": "login-1"}
    first = ann.api.call("POST", "/verify/check", body, headers=named)
    again = ann.api.call("POST", "/verify/check", body, headers=named)
    assert first.status == again.status == 200
    assert (again.body, again.header("Idempotent-Replayed")) == (first.body, "true")
    # The reply that was stored is lost as well, as when the process dies before it: the subject remembers.
    for key in ann.api.store.scan_iter(match="otp:idempotency:*"):
        ann.api.store.delete(key)
    assert ann.api.call("POST", "/verify/check", body, headers=named).body == first.body
    ann.check(body["code"]).problem(410, "code_used")
    # Also when the app shows that code no longer, as a minute later: here it has another app's secret.
    other = ann.enrolled()
    (key,) = ann.api.store.scan_iter(match="*:subject:*")
    for field in (":sealed", ":sealed:2"):
        value = ann.api.store.hget(key, other.removeprefix("fac_") + field)
        ann.api.store.hset(key, factor_id.removeprefix("fac_") + field, value)
    for name in ann.api.store.scan_iter(match="otp:idempotency:*"):
        ann.api.store.delete(name)
    assert ann.api.call("POST", "/verify/check", body, headers=named).body == first.body
    ann.check(body["code"]).problem(422, "code_incorrect")


def test_a_secret_whose_key_is_gone_is_no_wrong_code(ann: Person) -> None:
    """503 with a reason, and no try; another app of the person still logs in."""
    lost, kept = ann.enrolled(), ann.enrolled()
    (key,) = ann.api.store.scan_iter(match="*:subject:*")
    token = lost.removeprefix("fac_")
    ann.api.store.hdel(key, f"{token}:sealed:2")
    ann.api.store.hset(key, f"{token}:sealed", "kffffffff:AAAA")
    for _ in range(6):
        found = ann.check(ann.wrong())
        detail = found.problem(503, "not_ready")["detail"]
        assert "`otp-service keyring status`" in detail
        assert "readyz" not in detail
        assert b"ffffffff" not in found.body
    assert ann.check(ann.shown(kept)).status == 200
    ann.api.store.hdel(key, f"{token}:factor")
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4


def test_whoever_must_call_the_operator_is_not_told_to_try_again(ann: Person) -> None:
    """After a hundred wrong codes in a row no wait helps."""
    codes = ann.recovery_codes()
    (key,) = ann.api.store.scan_iter(match="*:subject:*")
    for in_a_row, told in ((99, "Try again in"), (100, "Only an operator")):
        ann.api.store.hset(key, Subject.WRONG, TriesInARow.pack(in_a_row, ann.now() * 1000, 0))
        assert told in ann.check(codes[0]).problem(429, "too_many_wrong_codes")["detail"]


def test_a_recovery_code_with_a_mistake_is_told_as_one(ann: Person) -> None:
    """A lost, an extra or a wrong character, a `U`, an en dash: what was typed says which code was meant. No try."""
    ann.enrolled()
    whole = next(code for code in ann.recovery_codes() if re.search("[A-Z]", code[1:-1]))
    other = "A" if whole[-1] != "A" else "B"
    texts = [whole[:-1], f"{whole}0", f"U{whole[1:]}", whole.replace("-", "\u2013"), f"{whole[:-1]}{other}"]
    for text in texts:
        found = ann.check(text).problem(400, "invalid_request")
        assert (found["detail"], found["errors"][0]["pointer"]) == (MISTYPED, "/code")
    for text in ("123", "12 34 56", "12345678901"):
        assert "ASCII digits" in ann.check(text).problem(400, "invalid_request")["detail"]
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/factors/totp", {}, "/subject"),
        ("/factors/totp", {"subject": ""}, "/subject"),
        ("/factors/totp", {"subject": "x" * 129}, "/subject"),
        ("/factors/totp", {"subject": "a\u0000b"}, "/subject"),
        ("/factors/totp", {"subject": "a", "label": "x" * 65}, "/label"),
        ("/factors/totp", {"subject": "a", "digits": 7}, "/digits"),
        ("/factors/totp", {"subject": "a", "period": 15}, "/period"),
        ("/factors/totp", {"subject": "a", "algorithm": "MD5"}, "/algorithm"),
        ("/factors/recovery-codes", {"subject": 7}, "/subject"),
        (f"/factors/totp/{UNKNOWN_FACTOR}/confirm", {"code": "１２３４５６"}, "/code"),
        (f"/factors/totp/{UNKNOWN_FACTOR}/confirm", {"code": "ABCD-EFGH-JKMN-PQRS"}, "/code"),
        ("/verify/check", {"subject": "a", "code": "１２３４５６"}, "/code"),
        ("/verify/check", {"subject": "a", "code": "12 34 56"}, "/code"),
        ("/verify/check", {"subject": "a\n", "code": "123456"}, "/subject"),
        ("/verify/check", {"to": "+12025550143", "code": "7G4K-W2QX-9DMB-T05C"}, "/code"),
    ],
)
def test_bad_forms_are_told(api: ApiHarness, path: str, body: object, pointer: str) -> None:
    """400 with the pointer, and nothing was tried."""
    assert api.call("POST", path, body).problem(400, "invalid_request")["errors"][0]["pointer"] == pointer
    assert not list(api.store.scan_iter(match="*:subject:*"))


def test_whose_factors_must_be_said(api: ApiHarness) -> None:
    """GET /factors without a subject is 400; one that is not known has none."""
    assert api.call("GET", "/factors").problem(400, "invalid_request")["errors"][0]["pointer"] == "?subject"
    assert api.call("GET", "/factors?subject=nobody").json == {"factors": []}
