"""Idempotency-Key on POST /verify/start: one request runs under a key, and its answer is given again."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import Answer, ApiHarness


def keyed(api: ApiHarness, key: str, body: object, app: str = "default", **headers: str) -> Answer:
    """POST /verify/start with an Idempotency-Key."""
    named = {"Idempotency-Key": key, **headers}
    return api.call("POST", "/verify/start", body, key=app, headers=named)


def test_the_same_again(api: ApiHarness) -> None:
    """The same status and body with Idempotent-Replayed, however often, and after the verification has ended."""
    body = {"to": api.number(), "metadata": {"a": 1}}
    first = keyed(api, "order-1", body)
    assert first.status == 201
    assert first.header("Idempotent-Replayed") is None
    verification = first.json["verification_id"]
    for _ in range(3):
        again = keyed(api, "order-1", body)
        assert (again.status, again.body) == (201, first.body)
        assert again.header("Idempotent-Replayed") == "true"
        assert again.header("Cache-Control") == "no-store"
        assert again.header("Content-Type") == "application/json"
        assert again.header("X-Request-Id") != first.header("X-Request-Id")
    assert api.check(verification, api.code(verification)).status == 200
    assert keyed(api, "order-1", body).body == first.body


def test_a_repeat_is_the_same_request_in_other_bytes(api: ApiHarness) -> None:
    """The order of members and white space make no other request."""
    number = api.number()
    first = keyed(api, "k", {"to": number, "purpose": "login"})
    again = keyed(api, "k", json.dumps({"purpose": "login", "to": number}, indent=4).encode())
    assert again.body == first.body


def test_another_body_is_422(api: ApiHarness) -> None:
    """The same key with another body is 422 and starts nothing; another app's same key is its own."""
    number, other = api.number(), api.number()
    first = keyed(api, "k", {"to": number})
    twice = f'{{"to": "{other}", "to": "{number}"}}'.encode()
    wide = json.dumps({"to": number}).encode("utf-16")
    for body in ({"to": other}, {"to": number, "purpose": "x"}, b"{", b"", b"\xff", twice, wide, b"[" * 5_000):
        keyed(api, "k", body).problem(422, "idempotency_conflict")
    assert api.call("POST", "/verify/check", {"to": other, "code": "123456"}).status == 404
    theirs = keyed(api, "k", {"to": number}, "other")
    assert theirs.status == 201
    assert theirs.json["verification_id"] != first.json["verification_id"]


def test_a_repeat_answers_before_everything_but_401(api: ApiHarness) -> None:
    """After 401, before 403, the cool-down, the opt-out and the form of the body's declaration."""
    number = api.number()
    body = {"to": number}
    first = keyed(api, "k", body)
    keyed(api, "k", body, **{"Authorization": "Bearer nonsense"}).problem(401, "unauthorized")
    api.opt_out(number)
    narrow = api.key("default", "metrics")
    for key, headers in ((narrow, {}), ("default", {"Content-Type": "text/plain"}), ("default", {})):
        again = api.call("POST", "/verify/start", body, key=key, headers={"Idempotency-Key": "k", **headers})
        assert (again.status, again.body) == (201, first.body)
    # A key that is not known opens nothing.
    headers = {"Idempotency-Key": "unknown"}
    api.call("POST", "/verify/start", body, key=narrow, headers=headers).problem(403, "forbidden")


def test_refusals_are_not_stored(api: ApiHarness) -> None:
    """A refused request leaves its key free: the same one passes when the reason has gone, and so does another body."""
    number = api.number()
    body = {"to": number}
    api.opt_out(number)
    keyed(api, "k", body).problem(403, "opted_out")
    keyed(api, "k", b"{").problem(400, "invalid_request")
    keyed(api, "k", {"to": "x"}).problem(422, "invalid_number")
    api.opt_out(number, text="START")
    assert keyed(api, "k", body).status == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "a/b", "x" * 256, "\u00e9", "a,b", 'a"b', "a\x00b", "\x7f", "k\x0bk"])
def test_a_key_has_a_form(api: ApiHarness, key: str) -> None:
    """400 for anything but 1 to 255 characters of the alphabet, and nothing is started."""
    number = api.number()
    keyed(api, key, {"to": number}).problem(400, "invalid_request")
    assert api.start(number).status == 201


@pytest.mark.parametrize("key", ["a", "x" * 255, "A-Za-z0-9_:.-"])
def test_the_whole_alphabet_is_good(api: ApiHarness, key: str) -> None:
    """Up to 255 characters, each of the alphabet."""
    assert keyed(api, key, {"to": api.number()}).status == 201


def test_many_at_once_are_one(api: ApiHarness) -> None:
    """Of 40 at once one starts; the others get its answer or 409 with Retry-After; afterwards all get its answer."""
    body = {"to": api.number()}
    api.key()
    limiter = threading.Barrier(20)

    def call(turn: int) -> Answer:
        if turn < 20:
            limiter.wait(60)
        return keyed(api, "race", body)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(call, range(40)))
    first = [a for a in answers if a.status == 201 and a.header("Idempotent-Replayed") is None]
    assert len(first) == 1
    for answer in answers:
        if answer.status == 201:
            assert answer.body == first[0].body
        else:
            answer.problem(409, "idempotency_conflict")
            assert answer.header("Retry-After") == "1"
    assert keyed(api, "race", body).body == first[0].body
    assert sum(int(str(api.store.xlen(name))) for name in api.store.keys("*:outbox")) == 1


def test_while_the_first_is_running(api: ApiHarness) -> None:
    """409 with Retry-After for the same body, 422 for another one; a crashed first's place is free after its lease."""
    body = {"to": api.number()}
    assert keyed(api, "k", body).status == 201
    (name,) = api.store.keys("otp:idempotency:*")
    kept = api.store.hgetall(name)
    assert isinstance(kept, dict)
    # As it looks while the first one is under way.
    api.store.hdel(name, "status", "body")
    answer = keyed(api, "k", body)
    answer.problem(409, "idempotency_conflict")
    assert answer.header("Retry-After") == "1"
    keyed(api, "k", {"to": api.number()}).problem(422, "idempotency_conflict")
    api.store.delete(name)
    # The start itself remembers the operation: no second code is queued for it.
    again = keyed(api, "k", body)
    assert again.status == 201
    assert sum(int(str(api.store.xlen(outbox))) for outbox in api.store.keys("*:outbox")) == 1
