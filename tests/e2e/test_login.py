"""A login from beginning to end, over real HTTP, with everything that can be asked of it at once."""

import base64
import json
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import jwt
import pytest
from joserfc import jwt as jose_jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet

from tests.documents.reading import DOCS, blocks

from .service_client import ServiceClient, within


def test_a_code_reaches_a_phone_and_approves(service_client: ServiceClient) -> None:
    """201, one SMS with the code once, delivered by the signed webhook, approved once; every step in the timeline."""
    number = service_client.number()
    verification = service_client.started(number)
    code = service_client.code(number)
    within(60, lambda: service_client.deliveries(verification) == ["delivered"], "the report")
    (sms,) = service_client.inbox(number)
    assert sms["text"].count(code) == 1
    assert len(code) == 6
    approved = service_client.check(verification, code)
    assert approved.status_code == 200
    assert service_client.check(verification, code).status_code == 410
    shown = service_client.show(verification)
    assert shown["status"] == "approved"
    assert shown["deliveries"][0]["carrier_status"] == "delivered"
    events = [entry["event"] for entry in shown["timeline"]]
    assert events[:3] == ["verification.started", "delivery.queued", "delivery.sending"]
    assert events[-1] == "verification.approved"
    assert events.index("delivery.sent") < events.index("delivery.delivered")
    times = [entry["at"] for entry in shown["timeline"]]
    assert times == sorted(times)


def test_autofill_for_browsers(service_client: ServiceClient) -> None:
    """The last line is `@host #code`, as the specification of origin-bound codes parses it."""
    number = service_client.number()
    service_client.started(number, autofill={"web_origin": "shop.example"})
    code = service_client.code(number)
    last = service_client.inbox(number)[0]["text"].split("\n")[-1]
    assert last == f"@shop.example #{code}"


def test_autofill_for_android(service_client: ServiceClient) -> None:
    """At most 140 bytes, the code in it, and the app's hash at the end."""
    number = service_client.number()
    service_client.started(number, autofill={"android_hash": "FA+9qCX9VSu"})
    code = service_client.code(number)
    text = service_client.inbox(number)[0]["text"]
    assert text.endswith("FA+9qCX9VSu")
    assert len(text.encode()) <= 140
    assert text.count(code) == 1


def test_what_is_paid_stands_in_the_message(service_client: ServiceClient) -> None:
    """Amount and payee are read to the payer, and only the same context is approved."""
    number = service_client.number()
    context = {"amount": "EUR 10.00", "payee": "Corner Shop"}
    verification = service_client.started(number, context=context)
    code = service_client.code(number)
    text = service_client.inbox(number)[0]["text"]
    assert "EUR 10.00" in text
    assert "Corner Shop" in text
    body = {"verification_id": verification, "code": code}
    wrong = service_client.call("POST", "/verify/check", {**body, "context": {**context, "amount": "EUR 99.00"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "code_incorrect")
    assert service_client.call("POST", "/verify/check", {**body, "context": context}).status_code == 200


def test_the_receipt_stands_on_its_own(service_client: ServiceClient) -> None:
    """Two JOSE libraries of others verify it by the published keys alone, and refuse it for another audience."""
    number = service_client.number()
    verification = service_client.started(number, purpose="pay")
    code, before = service_client.code(number), time.time()
    token = service_client.check(verification, code).json()["receipt"]
    after = time.time()
    address = f"{service_client.url}/.well-known/jwks.json"
    # The key is fetched by URL as a mobile backend would; the time is the store's, which is this machine's.
    key = jwt.PyJWKClient(address).get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="default", issuer=service_client.url)
    published = httpx.get(address).json()
    # RFC 9864 calls EdDSA by its curve; verifiers in the field know the old name.
    with pytest.warns(SecurityWarning, match="RFC 9864"):
        by_joserfc = jose_jwt.decode(token, KeySet.import_key_set(published), algorithms=["EdDSA"])
    assert dict(by_joserfc.claims) == claims
    assert claims["verification_id"] == verification
    assert (claims["purpose"], claims["amr"], claims["exp"] - claims["iat"]) == ("pay", ["otp", "sms"], 120)
    # Somewhat earlier than now, for those whose clocks are behind.
    assert before - 5 <= claims["iat"] <= after
    assert number[1:] not in json.dumps(claims)
    assert by_joserfc.header["kid"] == jwt.get_unverified_header(token)["kid"]
    assert all(set(entry) == {"kty", "crv", "alg", "use", "kid", "x"} for entry in published["keys"])
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=["EdDSA"], audience="other", issuer=service_client.url)
    head, payload, signature = token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "purpose": "login"}).encode()).rstrip(b"=").decode()
    for bad in (f"{head}.{forged}.{signature}", f"{head}.{payload}.{signature[:-4]}AAAA"):
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(bad, key, algorithms=["EdDSA"], audience="default")
        assert service_client.call("POST", "/receipts/redeem", {"receipt": bad}).status_code == 422


def test_the_guides_lines_verify_a_receipt(service_client: ServiceClient) -> None:
    """As the quick start prints them: they take the person's own receipt for this payment, and no other."""
    names: dict[str, Any] = {"otp": service_client.url}
    for block in blocks(DOCS / "quick-start.md", "python"):
        exec(compile(block.text, "quick-start.md", "exec"), names)
    number, context = service_client.number(), {"payee": "Caf\u00e9 \u20ac", "amount": "EUR 10.00", "session": ""}
    started = service_client.start(number, context=context).json()
    asked = {"verification_id": started["verification_id"], "code": service_client.code(number), "context": context}
    receipt = service_client.call("POST", "/verify/check", asked).json()["receipt"]
    claims = names["verified"](receipt, started["sub"])
    assert claims["verification_id"] == started["verification_id"]
    assert claims["context_hash"] == names["context_hash"](context)
    assert claims["context_hash"] != names["context_hash"]({**context, "amount": "EUR 99.00"})
    other = service_client.start(service_client.number()).json()["sub"]
    for wanted in ({"sub": other}, {"purpose": "pay"}, {"app": "other"}):
        with pytest.raises(jwt.PyJWTError):
            names["verified"](receipt, **{"sub": started["sub"], **wanted})
    with pytest.raises(jwt.PyJWTError):
        names["verified"](receipt[:-4] + "AAAA", started["sub"])
    # A change of factors is no approval, whoever it is of.
    change = service_client.call("POST", "/factors/recovery-codes", {"subject": "user-1"}).json()["receipt"]
    with pytest.raises(jwt.InvalidTokenError, match="no receipt of an approval"):
        names["verified"](change, jwt.decode(change, options={"verify_signature": False})["sub"])


def at_once(count: int, request: Any, connections: int = 16) -> list[httpx.Response]:
    """The same request many times at once, over several connections."""
    with ThreadPoolExecutor(connections) as pool:
        return list(pool.map(request, range(count)))


def outcomes(answers: list[httpx.Response]) -> Counter[tuple[int, str]]:
    """How often each status and code came."""
    return Counter((answer.status_code, answer.json().get("code", "")) for answer in answers)


def test_a_receipt_spent_many_times_at_once_is_spent_once(service_client: ServiceClient) -> None:
    """Of 40 at once exactly one is 200, the others 410."""
    number = service_client.number()
    verification = service_client.started(number)
    token = service_client.check(verification, service_client.code(number)).json()["receipt"]
    answers = at_once(40, lambda _: service_client.call("POST", "/receipts/redeem", {"receipt": token}))
    assert outcomes(answers) == {(200, ""): 1, (410, "receipt_spent"): 39}


def test_a_hundred_wrong_codes_at_once(service_client: ServiceClient) -> None:
    """Exactly five are evaluated: four 422 and the one that used the last try; the others are 410; so is the record."""
    number = service_client.number()
    verification = service_client.started(number)
    wrong = f"{(int(service_client.code(number)) + 1) % 10**6:06d}"
    answers = at_once(100, lambda _: service_client.check(verification, wrong))
    assert outcomes(answers) == {(422, "code_incorrect"): 4, (410, "attempts_exhausted"): 96}
    assert sorted(a.json()["checks_left"] for a in answers if a.status_code == 422) == [1, 2, 3, 4]
    assert service_client.check(verification, service_client.code(number)).json()["code"] == "attempts_exhausted"
    recorded = service_client.call(
        "GET", f"/audit/events?verification={verification}&type=check.failed&limit=1000"
    ).json()
    assert len(recorded["events"]) == 5
    assert service_client.events(verification).count("verification.exhausted") == 1


def test_the_right_code_many_times_at_once(service_client: ServiceClient) -> None:
    """Of 50 at once exactly one is approved."""
    number = service_client.number()
    verification = service_client.started(number)
    code = service_client.code(number)
    answers = at_once(50, lambda _: service_client.check(verification, code))
    assert outcomes(answers) == {(200, ""): 1, (410, "already_approved"): 49}
    assert service_client.events(verification).count("verification.approved") == 1


def guess(service_client: ServiceClient, verification: str, guesses: list[str], turn: int) -> httpx.Response:
    """The turn's guess."""
    return service_client.check(verification, guesses[turn])


def test_wrong_and_right_at_once(service_client: ServiceClient) -> None:
    """One right among 19 wrong, in random order, ten times: at most one approval, and none after the lock."""
    for _ in range(10):
        number = service_client.number()
        verification = service_client.started(number)
        right = service_client.code(number)
        guesses = [right] + [f"{(int(right) + 1 + n) % 10**6:06d}" for n in range(19)]
        random.shuffle(guesses)
        answers = at_once(20, partial(guess, service_client, verification, guesses))
        events = service_client.events(verification)
        assert sum(answer.status_code == 200 for answer in answers) == events.count("verification.approved") <= 1
        assert events.count("check.failed") <= 5
        assert not ({"verification.approved", "verification.exhausted"} <= set(events))


def test_thirty_starts_at_once_for_one_number(service_client: ServiceClient) -> None:
    """One verification, one SMS; the others are told to wait."""
    number = service_client.number()
    answers = at_once(30, lambda _: service_client.start(number), 30)
    assert outcomes(answers) == {(201, ""): 1, (429, "resend_too_soon"): 29}
    verification = next(a.json()["verification_id"] for a in answers if a.status_code == 201)
    within(60, lambda: service_client.deliveries(verification) == ["delivered"], "the delivery")
    assert len(service_client.inbox(number)) == 1
    assert len(service_client.sends(number)) == 1


def test_one_idempotency_key_many_times_at_once(service_client: ServiceClient) -> None:
    """One verification and one SMS; every other answer is the same one, or says that the first is running."""
    number = service_client.number()
    answers = at_once(
        30, lambda _: service_client.call("POST", "/verify/start", {"to": number}, Idempotency_Key="e2e-" + number[1:])
    )
    good = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in good}) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert sum("idempotent-replayed" not in answer.headers for answer in good) == 1
    service_client.code(number)
    assert len(service_client.inbox(number)) == 1


def test_a_repeat_is_the_same_code(service_client: ServiceClient) -> None:
    """200 with the same id and the same code again, each in an SMS of its own; tries are not given back."""
    number = service_client.number()
    verification = service_client.started(number, "again")
    code = service_client.code(number)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    assert service_client.check(verification, wrong, "again").json()["checks_left"] == 4
    again = service_client.start(number, "again")
    assert (again.status_code, again.json()["verification_id"]) == (200, verification)
    assert again.json()["checks_left"] == 4
    within(60, lambda: len(service_client.inbox(number)) == 2, "the second SMS")
    assert {code in sms["text"] for sms in service_client.inbox(number)} == {True}
    within(60, lambda: service_client.deliveries(verification, "again") == ["delivered"] * 2, "both reports")
    assert service_client.check(verification, code, "again").status_code == 200


def settled(service_client: ServiceClient, verification: str) -> bool:
    """Whether the first delivery has come to an end."""
    return service_client.deliveries(verification)[0] in ("suppressed", "delivered")


def test_nothing_is_sent_after_the_end(service_client: ServiceClient) -> None:
    """A verification that is canceled before its turn is suppressed with a reason, or its SMS was already out."""
    service_client.chaos(wait_seconds=0)
    for _ in range(10):
        number = service_client.number()
        verification = service_client.started(number)
        assert service_client.call("POST", f"/verify/{verification}/cancel").status_code == 200
        within(60, partial(settled, service_client, verification), "an end")
        (delivery,) = service_client.show(verification)["deliveries"]
        assert len(service_client.inbox(number)) == (delivery["status"] == "delivered")
        if delivery["status"] == "suppressed":
            assert delivery["error"]["code"] == "verification_canceled"


def test_hundreds_of_starts_to_different_numbers(service_client: ServiceClient) -> None:
    """200 starts as fast as they go: no default limit stands in the way, and each phone gets exactly one SMS."""
    numbers = [service_client.number() for _ in range(200)]
    answers = at_once(200, lambda turn: service_client.start(numbers[turn]))
    assert outcomes(answers) == {(201, ""): 200}
    within(60, lambda: all(service_client.inbox(number) for number in numbers), "all SMS")
    assert [len(service_client.inbox(number)) for number in numbers] == [1] * 200
