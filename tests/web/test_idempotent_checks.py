"""Idempotency-Key on POST /verify/check: an approval whose reply was lost is given again, and nothing else is."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otp_service import bootstrap, config, keyring, telemetry
from otp_service.storage.schema.fields import Factor

from .conftest import Answer, ApiHarness, make_settings
from .people import Person


def keyed(api: ApiHarness, key: str, body: object, app: str = "default", **headers: str) -> Answer:
    """POST /verify/check with an Idempotency-Key."""
    return api.call("POST", "/verify/check", body, key=app, headers={"Idempotency-Key": key, **headers})


def guess(api: ApiHarness, to: str | None = None, **members: object) -> dict[str, Any]:
    """The body of a right guess at a new verification."""
    verification = api.started(to or api.number())
    return {"verification_id": verification, "code": api.code(verification), **members}


def test_an_approval_is_repeated(api: ApiHarness) -> None:
    """The same 200, body and receipt, marked as a repeat, however often; the receipt is spent once all the same."""
    body = guess(api)
    first = keyed(api, "login-1", body)
    assert first.status == 200
    assert first.header("Idempotent-Replayed") is None
    for _ in range(3):
        again = keyed(api, "login-1", body)
        assert (again.status, again.body) == (200, first.body)
        assert again.header("Idempotent-Replayed") == "true"
        assert again.header("Cache-Control") == "no-store"
        assert again.header("X-Request-Id") != first.header("X-Request-Id")
    receipts = {"receipt": first.json["receipt"]}
    assert api.call("POST", "/receipts/redeem", receipts).status == 200
    assert keyed(api, "login-1", body).body == first.body
    api.call("POST", "/receipts/redeem", receipts).problem(410, "receipt_spent")
    # Without the key, or under another one, the approval counts once.
    api.call("POST", "/verify/check", body).problem(410, "already_approved")
    keyed(api, "login-2", body).problem(410, "already_approved")


def test_a_repeat_by_number_belongs_to_the_first_verification(api: ApiHarness) -> None:
    """Also when the person has started anew meanwhile: the same request has the same answer, and costs no try."""
    number = api.number()
    first_id = api.started(number)
    body = {"to": number, "code": api.code(first_id)}
    first = keyed(api, "k", body)
    assert first.status == 200
    second_id = api.started(number)
    assert keyed(api, "k", body).body == first.body
    assert api.call("GET", f"/verify/{second_id}").json["checks_left"] == 5
    assert first.json["verification_id"] == first_id


def test_another_body_is_never_given_the_approval(api: ApiHarness) -> None:
    """The same key with another code, person, context or a body that is no JSON is 422; nothing is judged."""
    body, other = guess(api), guess(api)
    assert keyed(api, "k", body).status == 200
    twice = json.dumps(body)[:-1] + ', "code": "000000"}'
    for changed in (
        {**body, "code": "000000"},
        {**body, "purpose": "login"},
        {**body, "context": {"amount": "1"}},
        other,
        twice.encode(),
        b"{",
        b"",
    ):
        keyed(api, "k", changed).problem(422, "idempotency_conflict")
    assert api.call("GET", f"/verify/{other['verification_id']}").json["checks_left"] == 5
    # The order of the members means nothing.
    assert keyed(api, "k", dict(reversed(body.items()))).status == 200


def test_keys_belong_to_an_app_and_an_endpoint(api: ApiHarness) -> None:
    """Another app's same word is its own; a login may be started and checked under one word."""
    number = api.number()
    started = api.call("POST", "/verify/start", {"to": number}, headers={"Idempotency-Key": "login-9"})
    verification = started.json["verification_id"]
    body = {"verification_id": verification, "code": api.code(verification), "to": number}
    assert keyed(api, "login-9", body).status == 200
    keyed(api, "login-9", body, "other").problem(404, "verification_not_found")
    again = api.call("POST", "/verify/start", {"to": number}, headers={"Idempotency-Key": "login-9"})
    assert again.body == started.body


def test_refusals_are_not_stored(api: ApiHarness) -> None:
    """A wrong code under a key is judged each time and costs a try each time; the key stays free for the right one."""
    body = guess(api)
    wrong = {**body, "code": api.wrong(body["verification_id"])}
    for left in (4, 3, 2):
        assert keyed(api, "k", wrong).problem(422, "code_incorrect")["checks_left"] == left
    keyed(api, "k", {**body, "to": api.number()}).problem(404, "verification_not_found")
    keyed(api, "k", {**body, "code": "x"}).problem(400, "invalid_request")
    assert keyed(api, "k", body).status == 200
    assert keyed(api, "k", body).header("Idempotent-Replayed") == "true"
    keyed(api, "k", wrong).problem(422, "idempotency_conflict")


def test_a_repeat_answers_before_everything_but_401(api: ApiHarness) -> None:
    """After 401, before 403 and the form of the body's declaration; a key that is not known opens nothing."""
    body = guess(api)
    first = keyed(api, "k", body)
    keyed(api, "k", body, **{"Authorization": "Bearer nonsense"}).problem(401, "unauthorized")
    narrow = api.key("default", "metrics")
    for key, headers in ((narrow, {}), ("default", {"Content-Type": "text/plain"})):
        again = keyed(api, "k", body, key, **headers)
        assert (again.status, again.body) == (200, first.body)
    fresh = guess(api)
    keyed(api, "unknown", fresh, narrow).problem(403, "forbidden")
    assert api.call("GET", f"/verify/{fresh['verification_id']}").json["status"] == "pending"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\u00e9", "a\x00b"])
def test_a_key_has_a_form(api: ApiHarness, key: str) -> None:
    """400 for any other, and no try is lost."""
    body = guess(api)
    keyed(api, key, body).problem(400, "invalid_request")
    assert api.call("GET", f"/verify/{body['verification_id']}").json["checks_left"] == 5


def test_many_at_once_are_one_approval(api: ApiHarness) -> None:
    """Of 40 at once one is approved; the others get its very answer or 409 with Retry-After; one receipt in all."""
    body = guess(api)
    limiter = threading.Barrier(20)

    def call(turn: int) -> Answer:
        if turn < 20:
            limiter.wait(60)
        return keyed(api, "race", body)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(call, range(40)))
    approved = [answer for answer in answers if answer.status == 200]
    assert len([a for a in approved if a.header("Idempotent-Replayed") is None]) == 1
    assert len({answer.body for answer in approved}) == 1
    for answer in answers:
        if answer.status != 200:
            answer.problem(409, "idempotency_conflict")
            assert answer.header("Retry-After") == "1"


# ---- what a crash leaves --------------------------------------------------------------------------------------------


def stored(api: ApiHarness) -> Any:
    """The name of the one record of an Idempotency-Key."""
    names: Any = api.store.keys("otp:idempotency:*")
    (name,) = names
    return name


def test_a_process_that_died_before_the_answer_was_kept(api: ApiHarness) -> None:
    """Approved in the store and nothing else written: the repeat gets the approval from the verification itself."""
    body = guess(api)
    first = keyed(api, "k", body)
    # As it is once the dead request's lease is over.
    api.store.delete(stored(api))
    again = keyed(api, "k", body)
    assert (again.status, again.body) == (200, first.body)
    assert again.header("Idempotent-Replayed") == "true"
    api.store.delete(stored(api))
    keyed(api, "k", {**body, "code": "000000"}).problem(410, "already_approved")
    keyed(api, "k2", body).problem(410, "already_approved")


def test_while_the_first_is_running(api: ApiHarness) -> None:
    """409 with Retry-After for the same body, 422 for another one."""
    body = guess(api)
    assert keyed(api, "k", body).status == 200
    api.store.hdel(stored(api), "status", "body")
    answer = keyed(api, "k", body)
    answer.problem(409, "idempotency_conflict")
    assert answer.header("Retry-After") == "1"
    keyed(api, "k", {**body, "code": "000000"}).problem(422, "idempotency_conflict")


def test_the_store_holds_no_receipt_in_clear(api: ApiHarness) -> None:
    """A receipt is worth a login for two minutes: what is kept of the answer is sealed."""
    body = guess(api)
    receipt = keyed(api, "k", body).json["receipt"]
    kept = api.store.hgetall(stored(api))
    assert isinstance(kept, dict)
    text = repr(kept)
    assert receipt not in text
    assert receipt.split(".")[1] not in text
    assert body["code"] not in text
    assert body["verification_id"] not in text


@pytest.fixture
def rotated(api: ApiHarness, tmp_path: Path, redis_url: str) -> ApiHarness:
    """The same service on the same store after its keyring's old key was deleted."""
    settings = make_settings(tmp_path, redis_url, api.seed)
    assert settings.keyring_path is not None
    ring = json.loads(keyring.rotate(_raw(api), lambda n: b"\x07" * n, "2026-02-01T00:00:00Z"))
    ring["keys"] = ring["keys"][-1:]
    settings.keyring_path.write_text(json.dumps(ring))
    return replace(api, app=bootstrap.build_web(settings), settings=settings, vault=config.load_keyring(settings))


def _raw(api: ApiHarness) -> bytes:
    assert api.settings.keyring_path is not None
    return api.settings.keyring_path.read_bytes()


def test_the_repeat_outlives_the_key_that_sealed_it(api: ApiHarness, rotated: ApiHarness) -> None:
    """With that key gone the approval is given again, signed by the new key: the same claims."""
    body = guess(api)
    first = keyed(api, "k", body)
    again = keyed(rotated, "k", body)
    assert again.status == 200
    assert again.header("Idempotent-Replayed") == "true"
    assert {**again.json, "receipt": ""} == {**first.json, "receipt": ""}
    assert again.json["receipt"].split(".")[1] == first.json["receipt"].split(".")[1]
    # An API key that may not check does not get it that way.
    keyed(rotated, "k", body, api.key("default", "metrics")).problem(403, "forbidden")


def forget_kept(api: ApiHarness) -> None:
    """As when the process dies before the reply is stored."""
    for key in api.store.scan_iter(match="otp:idempotency:*"):
        api.store.delete(key)


def test_a_check_of_one_factor_and_a_redemption_are_given_again(api: ApiHarness) -> None:
    """The same reply, stored or not; another factor, another body, another receipt are none of it."""
    person, named = Person(api, "user-1"), {"Idempotency-Key": "once"}
    factor_id = person.enrolled()
    path, body = f"/factors/{factor_id}/check", {"code": person.shown(factor_id)}
    first = api.call("POST", path, body, headers=named)
    assert first.status == 200, first.body
    again = api.call("POST", path, body, headers=named)
    assert (again.body, again.header("Idempotent-Replayed")) == (first.body, "true")
    other = person.enrolled()
    answer = api.call("POST", f"/factors/{other}/check", body, headers=named)
    assert answer.problem(422, "idempotency_conflict")
    forget_kept(api)
    found = api.call("POST", path, body, headers=named)
    assert (found.body, found.header("Idempotent-Replayed")) == (first.body, "true")
    api.call("POST", path, body).problem(410, "code_used")
    verification = api.started(api.number())
    for receipt in (first.json["receipt"], api.check(verification, api.code(verification)).json["receipt"]):
        key = {"Idempotency-Key": receipt[-40:]}
        spent = api.call("POST", "/receipts/redeem", {"receipt": receipt}, headers=key)
        assert spent.status == 200, spent.body
        again = api.call("POST", "/receipts/redeem", {"receipt": receipt}, headers=key)
        assert (again.body, again.header("Idempotent-Replayed")) == (spent.body, "true")
        forget_kept(api)
        assert api.call("POST", "/receipts/redeem", {"receipt": receipt}, headers=key).body == spent.body
        api.call("POST", "/receipts/redeem", {"receipt": receipt}).problem(410, "receipt_spent")
        other_body = {"receipt": receipt, "purpose": "login"}
        api.call("POST", "/receipts/redeem", other_body, headers=key).problem(422, "idempotency_conflict")
    events = api.call("GET", "/audit/events?type=receipt.redeemed").json["events"]
    assert len(events) == 2


def test_a_factors_approval_is_given_again_for_a_day(api: ApiHarness) -> None:
    """By an app and by a recovery code; marked as a repeat, and no guess more. Later the old request opens nothing."""
    person = Person(api, "user-1")
    factor_id, (code, *_) = person.enrolled(), person.recovery_codes()
    for turn, typed in enumerate((person.shown(factor_id), code)):
        body, name = {"subject": person.subject, "code": typed}, f"login-{turn}"
        first = keyed(api, name, body)
        assert (first.status, first.header("Idempotent-Replayed")) == (200, None)
        before = counted(api)
        move_uses(api, 23)
        forget_kept(api)
        again = keyed(api, name, body)
        assert (again.status, again.json["factor_id"]) == (200, first.json["factor_id"])
        assert again.header("Idempotent-Replayed") == "true"
        assert counted(api) == {**before, "replayed": before["replayed"] + 1}
        move_uses(api, 2)
        forget_kept(api)
        keyed(api, name, body).problem(410, "code_used")


def counted(api: ApiHarness) -> dict[str, float]:
    """How often checks of the app ended in these words."""
    read = telemetry.REGISTRY.get_sample_value
    labels = [{"app": "default", "answer": word} for word in ("approved", "replayed")]
    return {each["answer"]: read("otp_checks_total", each) or 0.0 for each in labels}


def move_uses(api: ApiHarness, hours: int) -> None:
    """Make every use of a factor so much older."""
    for key in api.store.scan_iter(match="*:subject:*"):
        found: Any = api.store.hgetall(key)
        for name, value in found.items():
            if name.decode().endswith(Factor.USED):
                api.store.hset(key, name, int(value) - hours * 3_600_000)


def test_a_proof_is_spent_once_though_the_start_is_repeated(api: ApiHarness) -> None:
    """A start whose process died between the proof and the send: the repeat with its key goes on."""
    person, to = Person(api, "user-1"), api.number()
    proof = person.check(person.recovery_codes()[0]).json["receipt"]
    body = {"to": to, "subject": person.subject, "purpose": "bind", "proof": proof, "channel": "whatsapp"}
    named = {"Idempotency-Key": "bind-1"}
    api.call("POST", "/verify/start", body, headers=named).problem(422, "channel_unavailable")  # not spent yet
    body["channel"] = "sms"
    started = api.call("POST", "/verify/start", body, headers=named)
    assert started.status == 201, started.body
    forget_kept(api)
    for key in api.store.scan_iter(match="*:subject:*"):
        api.store.hdel(key, "sent:bind")  # as if the code had not been noted
    again = api.call("POST", "/verify/start", body, headers=named)
    assert (again.status, again.json["verification_id"]) == (201, started.json["verification_id"])
    fresh = {"Idempotency-Key": "bind-2"}
    other = {**body, "to": api.number()}
    api.call("POST", "/verify/start", other, headers=fresh).problem(403, "number_not_bound")
