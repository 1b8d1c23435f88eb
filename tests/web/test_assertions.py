"""Whose login a code opens: assertions on check and redeem, and replies that say who was verified."""

import base64
import json
from typing import Any

import pytest

from otp_service.storage.schema.encodings import DeliveryFacts

from .conftest import Answer, ApiHarness
from .people import Person
from .request_examples import UNKNOWN_ID


def check(api: ApiHarness, app: str = "default", **body: object) -> Answer:
    """POST /verify/check."""
    return api.call("POST", "/verify/check", body, key=app)


def redeem(api: ApiHarness, receipt: str, **asserted: object) -> Answer:
    """POST /receipts/redeem."""
    return api.call("POST", "/receipts/redeem", {"receipt": receipt, **asserted})


def left(api: ApiHarness, verification: str, app: str = "default") -> int:
    """The tries that are left."""
    return int(api.call("GET", f"/verify/{verification}", key=app).json["checks_left"])


def claims(receipt: str) -> dict[str, Any]:
    """The payload of a receipt."""
    payload = receipt.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def same_but_for_the_request(one: Answer, other: Answer) -> bool:
    """Whether two problems differ in their request ids only: headers, members and their order."""

    def without_request_id(answer: Answer) -> str:
        text = answer.body.decode() + repr(answer.headers)
        return text.replace(answer.header("X-Request-Id") or "?", "REQUEST")

    return without_request_id(one) == without_request_id(other)


def test_a_code_for_one_phone_approves_no_other_login(api: ApiHarness) -> None:
    """The attacker's id and code with the victim's number is 404 like an id that never was, and costs no try."""
    attacker, victim = api.number(), api.number()
    mine = api.started(attacker)
    api.started(victim)
    code = api.code(mine)
    unknown = check(api, verification_id=UNKNOWN_ID, code=code, to=victim)
    unknown.problem(404, "verification_not_found")
    for body in (
        {"to": victim},
        {"to": api.number()},
        {"purpose": "pay"},
        {"to": attacker, "purpose": "pay"},
        {"to": victim, "purpose": "login"},
    ):
        for guess in (code, api.wrong(mine)):
            assert same_but_for_the_request(check(api, verification_id=mine, code=guess, **body), unknown)
    assert left(api, mine) == 5
    assert api.call("GET", f"/verify/{mine}").json["timeline"][-1]["event"] != "check.failed"
    # The same as for another app's verification, too.
    assert same_but_for_the_request(check(api, "other", verification_id=mine, code=code, to=attacker), unknown)
    assert check(api, verification_id=mine, code=code, to=attacker, purpose="login").status == 200


def test_an_ended_verification_of_somebody_else_is_not_there(api: ApiHarness) -> None:
    """Approved, canceled or exhausted: only who names the right person learns it."""
    for end in ("approved", "canceled", "exhausted"):
        number, other = api.number(), api.number()
        mine = api.started(number)
        code, wrong = api.code(mine), api.wrong(mine)
        if end == "canceled":
            assert api.call("POST", f"/verify/{mine}/cancel").status == 200
        for _ in range(5 if end == "exhausted" else int(end == "approved")):
            api.check(mine, wrong if end == "exhausted" else code)
        unknown = check(api, verification_id=UNKNOWN_ID, code=code)
        assert same_but_for_the_request(check(api, verification_id=mine, code=code, to=other), unknown)
        assert check(api, verification_id=mine, code=code, to=number).status == 410


def test_assertions_are_read_as_strictly_as_anything(api: ApiHarness) -> None:
    """No number is 422, foreign digits are 400, and neither costs a try; an app's own purpose fits only as it is."""
    number = api.number()
    mine = api.started(number, purpose="Pay")
    code = api.code(mine)
    for text in (number[1:], f"{number} ", "tel:" + number, "+1", ""):
        check(api, verification_id=mine, code=code, to=text).problem(422, "invalid_number")
    for text in (number.replace("5", "\uff15"), number + "\u0663"):
        check(api, verification_id=mine, code=code, to=text).problem(400, "invalid_request")
    for purpose in ("pay", "Pay ", "login"):
        check(api, verification_id=mine, code=code, purpose=purpose).problem(404, "verification_not_found")
    assert left(api, mine) == 5
    assert check(api, verification_id=mine, code=code, purpose="Pay", to=number).status == 200


def test_another_spelling_of_the_handset_is_the_same_person(api: ApiHarness) -> None:
    """A mobile of Argentina with and without its 9: both name the person, on check and on redeem."""
    verification = api.started("+5491123456789", "abroad")
    body = {"verification_id": verification, "code": api.code(verification), "to": "+541123456789"}
    approved = check(api, "abroad", **body)
    assert approved.status == 200
    spent = {"receipt": approved.json["receipt"], "to": "+541123456789"}
    assert api.call("POST", "/receipts/redeem", spent, key="abroad").status == 200


def test_by_number_alone_nothing_has_changed(api: ApiHarness) -> None:
    """The purpose names the verification there; without one it is `login`."""
    number = api.number()
    paying = api.started(number, purpose="pay")
    body = {"to": number, "code": api.code(paying)}
    check(api, **body).problem(404, "verification_not_found")
    assert check(api, **body, purpose="pay").json["verification_id"] == paying


def test_the_replies_say_who_was_verified_for_what(api: ApiHarness) -> None:
    """Start, repeat, check, receipt and redemption name one person by one `sub`; another app's and phone's differ."""
    number = api.number()
    started = api.start(number, "twice", purpose="pay").json
    again = api.start(number, "twice", purpose="pay").json
    shown = api.call("GET", f"/verify/{started['verification_id']}", key="twice").json
    approved = api.check(started["verification_id"], api.code(started["verification_id"]), "twice").json
    mask = f"+1******{number[-4:]}"
    assert (approved["to"], approved["purpose"], approved["channel"]) == (mask, "pay", "sms")
    claimed = claims(approved["receipt"])
    spent = api.call("POST", "/receipts/redeem", {"receipt": approved["receipt"]}, key="twice").json
    assert (spent["to"], spent["purpose"]) == (mask, "pay")
    assert {started["sub"], again["sub"], shown["sub"], approved["sub"], claimed["sub"], spent["sub"]} == {
        claimed["sub"]
    }
    assert len(claimed["sub"]) == 32
    assert number[1:] not in claimed["sub"]
    assert (claimed["purpose"], claimed["channel"], claimed["amr"]) == ("pay", "sms", ["otp", "sms"])
    others = (api.start(number, "other").json["sub"], api.start(api.number(), "twice").json["sub"])
    assert len({claimed["sub"], *others}) == 3


def test_a_watch_token_does_not_show_the_person(api: ApiHarness) -> None:
    """`sub` is null there: who can start verifications could find out which number stands behind a mask."""
    started = api.start(api.number()).json
    shown = api.call("GET", f"/verify/{started['verification_id']}", key=started["watch_token"]).json
    assert shown["sub"] is None
    assert started["sub"] not in json.dumps(shown)


def test_a_receipt_is_spent_by_whom_it_belongs_to(api: ApiHarness) -> None:
    """Another number, `sub` or purpose is 422 and spends nothing; the right ones spend it, once."""
    number, other = api.number(), api.number()
    verification = api.started(number, purpose="pay")
    approved = api.check(verification, api.code(verification)).json
    receipt, sub = approved["receipt"], approved["sub"]
    other_sub = api.start(other).json["sub"]
    for asserted in (
        {"to": other},
        {"sub": other_sub},
        {"sub": ""},
        {"sub": sub[:-1]},
        {"purpose": "login"},
        {"to": number, "sub": other_sub},
        {"to": number, "sub": sub, "purpose": "login"},
    ):
        redeem(api, receipt, **asserted).problem(422, "receipt_invalid")
    redeem(api, receipt, to=number[1:]).problem(422, "invalid_number")
    redeem(api, receipt, to=number + "\u0663").problem(400, "invalid_request")
    spent = redeem(api, receipt, to=number, sub=sub, purpose="pay")
    assert (spent.status, spent.json["sub"], spent.json["verification_id"]) == (200, sub, verification)
    redeem(api, receipt, to=number).problem(410, "receipt_spent")
    redeem(api, receipt, to=other).problem(422, "receipt_invalid")


@pytest.mark.parametrize("member", ["to", "sub", "purpose"])
@pytest.mark.parametrize("value", [None, 1, True, [], {}])
def test_a_missing_assertion_is_refused(api: ApiHarness, member: str, value: object) -> None:
    """`null` asserts nothing, but a caller who sends it means something: 400, and nothing is lost."""
    number = api.number()
    verification = api.started(number)
    code = api.code(verification)
    if member != "sub":
        body: dict[str, Any] = {"verification_id": verification, "code": code, member: value}
        check(api, **body).problem(400, "invalid_request")
        assert left(api, verification) == 5
    receipt = api.check(verification, code).json["receipt"]
    redeem(api, receipt, **{member: value}).problem(400, "invalid_request")
    assert redeem(api, receipt).status == 200


# ---- what must stand in the message ---------------------------------------------------------------------------------


PIZZAS = {"amount": "\U0001f355" * 128, "payee": "\U0001f355" * 128}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"context": PIZZAS, "autofill": {"web_origin": "a" * 36 + ".example"}}, "/context"),
        ({"context": {"payee": "x" * 128}, "autofill": {"android_hash": "FA+9qCX9VSu"}}, "/context"),
        ({"context": {"amount": "€" * 45}, "autofill": {"android_hash": "FA+9qCX9VSu"}}, "/context"),
    ],
)
def test_a_text_that_cannot_fit_is_no_request(api: ApiHarness, members: dict[str, Any], pointer: str) -> None:
    """400 with the place and what to shorten; nothing is queued, and the same number can be started at once."""
    number = api.number()
    problem = api.start(number, **members).problem(400, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert "Shorten" in problem["detail"]
    assert not [name for name in api.store.keys("*:outbox") if api.store.xlen(name)]
    assert api.start(number, context={"amount": "EUR 10", "payee": "Shop"}).status == 201


def test_a_repeat_in_another_form_is_measured_again(api: ApiHarness) -> None:
    """What fits as a plain text need not fit in Android's form: the repeat is refused, and the pending one stays."""
    number, context = api.number(), {"payee": "x" * 100}
    first = api.start(number, "twice", context=context)
    assert first.status == 201
    android = {"android_hash": "FA+9qCX9VSu"}
    api.start(number, "twice", context=context, autofill=android).problem(400, "invalid_request")
    assert api.start(number, "twice", context=context).json["sends_left"] == 0


@pytest.mark.parametrize(
    "locale",
    [
        *("de_DE", "en-US-u-fw-mon-mu-celsius", "zh-Hant-CN-x-private1-private2", "sl-rozaj-biske-1994", "", " ", "*"),
        *("de-DE@currency=EUR", "C.UTF-8", "x" * 10_000, "\u0000", "de\n", "\U0001f355", "i-klingon", "en--", "-"),
    ],
)
def test_no_login_is_refused_over_its_locale(api: ApiHarness, locale: str) -> None:
    """Any text starts; what is kept of it is a language that there are words for."""
    verification = api.started(api.number(), locale=locale)
    (name,) = api.store.keys(f"*:verification:{verification.removeprefix('vrf_')}")
    facts: Any = api.store.hget(name, "1:facts")
    assert DeliveryFacts.named(facts.decode())["locale"] in ("de", "en")


@pytest.mark.parametrize(
    "text", ["FA+9qCX9VSu\n", "FA+9qCX9VS", "FA+9qCX9VSuu", "FA+9qCX9VS\u00e9", "FA+9qCX9VS\uff11", ""]
)
def test_an_android_hash_has_eleven_characters(api: ApiHarness, text: str) -> None:
    """No more, no less, and no line end after them."""
    problem = api.start(api.number(), autofill={"android_hash": text}).problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/autofill/android_hash"


def test_patterns_are_of_a_dialect_that_all_validators_read(api: ApiHarness) -> None:
    r"""ECMA 262 has neither `\Z` nor `\A`: a pattern with one of them refuses everything there."""
    document = api.call("GET", "/openapi.json", key=None).body.decode()
    assert "\\\\Z" not in document
    assert "\\\\A" not in document


def test_all_claims_of_a_receipt_are_described(api: ApiHarness) -> None:
    """In the document and so at /docs: each claim, the header's members, and nothing that is not there."""
    verification = api.started(api.number(), context={"amount": "1"})
    receipt = api.check(verification, api.code(verification), context={"amount": "1"}).json["receipt"]
    schema = api.call("GET", "/openapi.json", key=None).json["components"]["schemas"]["ReceiptClaims"]
    person = Person(api, "user-1")
    by_factor = claims(person.check(person.recovery_codes()[0]).json["receipt"])
    sent, kinds = claims(receipt), {"verification_id", "channel", "factor_id", "kind"}
    others = {
        "acr",
        "change",
        "test",
    }  # of policies, bound numbers and test numbers: see test_receipts, test_fixed_codes
    assert set(schema["properties"]) == set(sent) | set(by_factor) | others
    assert set(schema["required"]) == set(sent) & set(by_factor) == set(schema["properties"]) - kinds - others
    assert all(member["description"] for member in schema["properties"].values())
    assert all(word in schema["description"] for word in ("kid", "alg", "typ", "/.well-known/jwks.json"))
    page = api.call("GET", "/docs", key=None).body.decode()
    assert "ReceiptClaims" in page
