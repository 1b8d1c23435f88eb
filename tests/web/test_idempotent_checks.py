"""Idempotency-Key on POST /verify/check: an approval whose answer was lost is told again, and nothing else is."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otp_service import bootstrap, config, keyring

from .conftest import Answer, World, make_settings


def keyed(world: World, key: str, body: object, app: str = "default", **headers: str) -> Answer:
    """POST /verify/check with an Idempotency-Key."""
    return world.call("POST", "/verify/check", body, key=app, headers={"Idempotency-Key": key, **headers})


def guess(world: World, to: str | None = None, **members: object) -> dict[str, Any]:
    """The body of a right guess at a new verification."""
    verification = world.started(to or world.number())
    return {"verification_id": verification, "code": world.code(verification), **members}


def test_an_approval_is_told_again(world: World) -> None:
    """The same 200, body and receipt, marked as a repeat, however often; the receipt is spent once all the same."""
    body = guess(world)
    first = keyed(world, "login-1", body)
    assert first.status == 200
    assert first.header("Idempotent-Replayed") is None
    for _ in range(3):
        again = keyed(world, "login-1", body)
        assert (again.status, again.body) == (200, first.body)
        assert again.header("Idempotent-Replayed") == "true"
        assert again.header("Cache-Control") == "no-store"
        assert again.header("X-Request-Id") != first.header("X-Request-Id")
    receipts = {"receipt": first.json["receipt"]}
    assert world.call("POST", "/receipts/redeem", receipts).status == 200
    assert keyed(world, "login-1", body).body == first.body
    world.call("POST", "/receipts/redeem", receipts).problem(410, "receipt_spent")
    # Without the key, or under another one, the approval counts once.
    world.call("POST", "/verify/check", body).problem(410, "already_approved")
    keyed(world, "login-2", body).problem(410, "already_approved")


def test_a_repeat_by_number_belongs_to_the_first_verification(world: World) -> None:
    """Also when the person has started anew meanwhile: the same request has the same answer, and costs no try."""
    number = world.number()
    first_id = world.started(number)
    body = {"to": number, "code": world.code(first_id)}
    first = keyed(world, "k", body)
    assert first.status == 200
    second_id = world.started(number)
    assert keyed(world, "k", body).body == first.body
    assert world.call("GET", f"/verify/{second_id}").json["checks_left"] == 5
    assert first.json["verification_id"] == first_id


def test_another_body_is_never_given_the_approval(world: World) -> None:
    """The same key with another code, person, context or a body that is no JSON is 422; nothing is judged."""
    body, other = guess(world), guess(world)
    assert keyed(world, "k", body).status == 200
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
        keyed(world, "k", changed).problem(422, "idempotency_conflict")
    assert world.call("GET", f"/verify/{other['verification_id']}").json["checks_left"] == 5
    # The order of the members means nothing.
    assert keyed(world, "k", dict(reversed(body.items()))).status == 200


def test_keys_belong_to_an_app_and_an_endpoint(world: World) -> None:
    """Another app's same word is its own; a login may be started and checked under one word."""
    number = world.number()
    started = world.call("POST", "/verify/start", {"to": number}, headers={"Idempotency-Key": "login-9"})
    verification = started.json["verification_id"]
    body = {"verification_id": verification, "code": world.code(verification), "to": number}
    assert keyed(world, "login-9", body).status == 200
    keyed(world, "login-9", body, "other").problem(404, "verification_not_found")
    again = world.call("POST", "/verify/start", {"to": number}, headers={"Idempotency-Key": "login-9"})
    assert again.body == started.body


def test_refusals_are_not_stored(world: World) -> None:
    """A wrong code under a key is judged each time and costs a try each time; the key stays free for the right one."""
    body = guess(world)
    wrong = {**body, "code": world.wrong(body["verification_id"])}
    for left in (4, 3, 2):
        assert keyed(world, "k", wrong).problem(422, "code_incorrect")["checks_left"] == left
    keyed(world, "k", {**body, "to": world.number()}).problem(404, "verification_not_found")
    keyed(world, "k", {**body, "code": "x"}).problem(400, "invalid_request")
    assert keyed(world, "k", body).status == 200
    assert keyed(world, "k", body).header("Idempotent-Replayed") == "true"
    keyed(world, "k", wrong).problem(422, "idempotency_conflict")


def test_a_repeat_answers_before_everything_but_401(world: World) -> None:
    """After 401, before 403 and the form of the body's declaration; a key that is not known opens nothing."""
    body = guess(world)
    first = keyed(world, "k", body)
    keyed(world, "k", body, **{"Authorization": "Bearer nonsense"}).problem(401, "unauthorized")
    narrow = world.key("default", "metrics")
    for key, headers in ((narrow, {}), ("default", {"Content-Type": "text/plain"})):
        again = keyed(world, "k", body, key, **headers)
        assert (again.status, again.body) == (200, first.body)
    fresh = guess(world)
    keyed(world, "unknown", fresh, narrow).problem(403, "forbidden")
    assert world.call("GET", f"/verify/{fresh['verification_id']}").json["status"] == "pending"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\u00e9", "a\x00b"])
def test_a_key_has_a_form(world: World, key: str) -> None:
    """400 for any other, and no try is lost."""
    body = guess(world)
    keyed(world, key, body).problem(400, "invalid_request")
    assert world.call("GET", f"/verify/{body['verification_id']}").json["checks_left"] == 5


def test_many_at_once_are_one_approval(world: World) -> None:
    """Of 40 at once one is approved; the others get its very answer or 409 with Retry-After; one receipt in all."""
    body = guess(world)
    gate = threading.Barrier(20)

    def call(turn: int) -> Answer:
        if turn < 20:
            gate.wait(10)
        return keyed(world, "race", body)

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


def stored(world: World) -> Any:
    """The name of the one record of an Idempotency-Key."""
    names: Any = world.store.keys("otp:idem:*")
    (name,) = names
    return name


def test_a_process_that_died_before_the_answer_was_kept(world: World) -> None:
    """Approved in the store and nothing else written: the repeat gets the approval from the verification itself."""
    body = guess(world)
    first = keyed(world, "k", body)
    # As it is once the dead request's lease is over.
    world.store.delete(stored(world))
    again = keyed(world, "k", body)
    assert (again.status, again.body) == (200, first.body)
    assert again.header("Idempotent-Replayed") == "true"
    world.store.delete(stored(world))
    keyed(world, "k", {**body, "code": "000000"}).problem(410, "already_approved")
    keyed(world, "k2", body).problem(410, "already_approved")


def test_while_the_first_is_running(world: World) -> None:
    """409 with Retry-After for the same body, 422 for another one."""
    body = guess(world)
    assert keyed(world, "k", body).status == 200
    world.store.hdel(stored(world), "status", "body")
    answer = keyed(world, "k", body)
    answer.problem(409, "idempotency_conflict")
    assert answer.header("Retry-After") == "1"
    keyed(world, "k", {**body, "code": "000000"}).problem(422, "idempotency_conflict")


def test_the_store_holds_no_receipt_in_clear(world: World) -> None:
    """A receipt is worth a login for two minutes: what is kept of the answer is sealed."""
    body = guess(world)
    receipt = keyed(world, "k", body).json["receipt"]
    kept = world.store.hgetall(stored(world))
    assert isinstance(kept, dict)
    text = repr(kept)
    assert receipt not in text
    assert receipt.split(".")[1] not in text
    assert body["code"] not in text
    assert body["verification_id"] not in text


@pytest.fixture
def rotated(world: World, tmp_path: Path, redis_url: str) -> World:
    """The same service on the same store after its keyring's old key was deleted."""
    settings = make_settings(tmp_path, redis_url, world.seed)
    assert settings.keyring_path is not None
    ring = json.loads(keyring.rotate(_raw(world), lambda n: b"\x07" * n, "2026-02-01T00:00:00Z"))
    ring["keys"] = ring["keys"][-1:]
    settings.keyring_path.write_text(json.dumps(ring))
    return replace(world, app=bootstrap.build_web(settings), settings=settings, vault=config.load_keyring(settings))


def _raw(world: World) -> bytes:
    assert world.settings.keyring_path is not None
    return world.settings.keyring_path.read_bytes()


def test_the_repeat_outlives_the_key_that_sealed_it(world: World, rotated: World) -> None:
    """With that key gone the approval is told anew, signed by the new key: the same claims."""
    body = guess(world)
    first = keyed(world, "k", body)
    again = keyed(rotated, "k", body)
    assert again.status == 200
    assert again.header("Idempotent-Replayed") == "true"
    assert {**again.json, "receipt": ""} == {**first.json, "receipt": ""}
    assert again.json["receipt"].split(".")[1] == first.json["receipt"].split(".")[1]
    # Whose API key may not check is not told it that way.
    keyed(rotated, "k", body, world.key("default", "metrics")).problem(403, "forbidden")
