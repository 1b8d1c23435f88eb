"""The loop and Flask answer every request with the same bytes."""

import json
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.storage.schema.fields import Record

from ..conftest import wait_until
from .conftest import CODE, ODD, WRONG, Change, Request, Running, body_of

Answers = Sequence[bytes]
JSON = {"Content-Type": "application/json"}
TO = "+12025550143"


def _id(answers: Answers) -> str:
    return str(json.loads(body_of(answers[0]))["verification_id"])


class Cases:
    """Requests with the key of one app."""

    def __init__(self, front: Running, app: str = "default", *scopes: str) -> None:
        self.headers = {**JSON, "Authorization": f"Bearer {front.key(app, *scopes)}"}

    def start(self, to: str = TO, **members: object) -> Request:
        """POST /verify/start."""
        return Request("POST", "/verify/start", json.dumps({"to": to, **members}).encode(), self.headers)

    def check(self, code: str = WRONG, **members: object) -> Request:
        """POST /verify/check of the verification that the first request started."""

        def body(answers: Answers) -> bytes:
            return json.dumps({"verification_id": _id(answers), "code": code, **members}).encode()

        return Request("POST", "/verify/check", body, self.headers)

    def by_number(self, code: str = WRONG, to: str = TO, **members: object) -> Request:
        """POST /verify/check of a number's latest verification."""
        return Request("POST", "/verify/check", json.dumps({"to": to, "code": code, **members}).encode(), self.headers)

    def by_subject(self, code: str = WRONG, **members: object) -> Request:
        """POST /verify/check at all factors of a subject."""
        body = json.dumps({"subject": "user-1", "code": code, **members}).encode()
        return Request("POST", "/verify/check", body, self.headers)

    def keyed(self, request: Request, key: str) -> Request:
        """The request with an Idempotency-Key."""
        return Request(request.method, request.path, request.body, {**request.headers, "Idempotency-Key": key})


CHECKS: dict[str, tuple[str, Callable[[Cases], list[Request]], list[int]]] = {
    "right": ("default", lambda c: [c.start(), c.check(CODE)], [201, 200]),
    "already approved": ("default", lambda c: [c.start(), c.check(CODE), c.check(CODE)], [201, 200, 410]),
    "wrong": ("default", lambda c: [c.start(), c.check()], [201, 422]),
    "exhausted": ("default", lambda c: [c.start(), *[c.check()] * 6], [201, 422, 422, 422, 422, 410, 410]),
    "wrong context": (
        "default",
        lambda c: [c.start(context={"amount": "1.00 EUR", "payee": "Shop"}), c.check(CODE)],
        [201, 422],
    ),
    "right context": (
        "default",
        lambda c: [c.start(context={"a": "b"}), c.check(CODE, context={"a": "b"})],
        [201, 200],
    ),
    "not as asserted": ("default", lambda c: [c.start(), c.check(CODE, to="+12025550144")], [201, 404]),
    "not for this purpose": ("default", lambda c: [c.start(), c.check(CODE, purpose="pay")], [201, 404]),
    "unknown": ("default", lambda c: [c.by_number()], [404]),
    "by number": ("default", lambda c: [c.start(), c.by_number(), c.by_number(CODE)], [201, 422, 200]),
    "budget of the number": ("strict", lambda c: [c.start(), *[c.check()] * 3], [201, 422, 422, 429]),
    "no such id": (
        "default",
        lambda c: [Request("POST", "/verify/check", b'{"verification_id":"vrf_x","code":"123456"}', c.headers)],
        [404],
    ),
    "repeated under a key": (
        "default",
        lambda c: [c.start(), c.keyed(c.check(CODE), "one"), c.keyed(c.check(CODE), "one")],
        [201, 200, 200],
    ),
    "by subject": (
        "default",
        lambda c: [c.by_subject(), c.start(subject="user-1"), c.by_subject(), c.by_subject(CODE), c.by_subject(CODE)],
        [404, 201, 422, 200, 410],
    ),
    "by id for a subject": (
        "default",
        lambda c: [
            c.start(subject="user-1"),
            c.check(subject="user-2"),
            c.check(),
            c.check(CODE),
            c.by_subject("1" * 8),
        ],
        [201, 404, 422, 200, 404],
    ),
    "another body under the key": (
        "default",
        lambda c: [c.start(), c.keyed(c.check(CODE), "one"), c.keyed(c.check(), "one")],
        [201, 200, 422],
    ),
}

STARTS: dict[str, tuple[str, Callable[[Cases], list[Request]], list[int]]] = {
    "new": ("default", lambda c: [c.start(metadata={"order": 7}, locale="de-CH", purpose="pay")], [201]),
    "too soon": ("default", lambda c: [c.start(), c.start()], [201, 429]),
    "again": ("strict", lambda c: [c.start(), c.start()], [201, 200]),
    "no further send": ("twice", lambda c: [c.start(), c.start(), c.start()], [201, 200, 429]),
    "too many for the number": ("strict", lambda c: [c.start()] * 3, [201, 200, 429]),
    "too many for the app": ("capped", lambda c: [c.start(), c.start("+12025550144")], [201, 429]),
    "too many for an address": (
        "address",
        lambda c: [c.start(client_ip="198.51.100.7"), c.start("+12025550144", client_ip="198.51.100.7")],
        [201, 429],
    ),
    "another context": ("default", lambda c: [c.start(), c.start(context={"a": "b"})], [201, 409]),
    "no number": ("default", lambda c: [c.start("+1202"), c.start("hello"), c.start("+999123456789")], [422, 422, 422]),
    "another country": ("default", lambda c: [c.start("+447400123456")], [403]),
    "another kind of number": ("default", lambda c: [c.start("+18005550100")], [403]),
    "no sender for it": ("default", lambda c: [c.start(channel="whatsapp")], [422]),
    "repeated under a key": ("default", lambda c: [c.keyed(c.start(), "one"), c.keyed(c.start(), "one")], [201, 201]),
    "another body under the key": (
        "default",
        lambda c: [c.keyed(c.start(), "one"), c.keyed(c.start("+12025550144"), "one")],
        [201, 422],
    ),
    "a key without the form": ("default", lambda c: [c.keyed(c.start(), "no blanks please")], [400]),
}


def statuses(answers: Answers) -> list[int]:
    """The status of each."""
    return [int(answer[9:12]) for answer in answers]


@pytest.mark.parametrize("case", list(CHECKS))
def test_a_check(front: Running, case: str) -> None:
    """Every outcome of the contract's table."""
    app, requests, expected = CHECKS[case]
    assert statuses(front.both(*requests(Cases(front, app)))) == expected


@pytest.mark.parametrize("case", list(STARTS))
def test_a_start(front: Running, case: str) -> None:
    """New, sent again, refused, repeated."""
    app, requests, expected = STARTS[case]
    assert statuses(front.both(*requests(Cases(front, app)))) == expected


def record_has(**fields: str) -> Change:
    """The verification's record is changed as by an event that these requests cannot bring about."""

    def change(store: "redis.Redis") -> None:
        for name in store.scan_iter(_type="hash"):
            if store.hexists(name, Record.STATUS):
                for field, value in fields.items():
                    store.hset(name, field, value)

    return change


ENDED = {
    "expired": (record_has(**{Record.EXPIRES: "1"}), "verification_expired"),
    "denied": (record_has(**{Record.STATUS: "denied"}), "verification_denied"),
    "canceled": (record_has(**{Record.STATUS: "canceled"}), "verification_canceled"),
}


@pytest.mark.parametrize("case", list(ENDED))
def test_a_check_of_what_has_ended(front: Running, case: str) -> None:
    """By id and by number, a right code and a wrong one; and a start goes on from there."""
    change, code = ENDED[case]
    cases = Cases(front)
    answers = front.both(cases.start(), change, cases.check(CODE), cases.check(), cases.by_number(CODE), cases.start())
    assert statuses(answers)[:4] == [201, 410, 410, 410]
    assert {json.loads(body_of(answer))["code"] for answer in answers[1:4]} == {code}


def test_a_login_that_is_canceled(front: Running) -> None:
    """By the caller; the request for that is Flask's in any case."""
    cases = Cases(front)
    cancel = Request("POST", f"/verify/{_id(front.run([cases.start()], {}))}/cancel", b"", cases.headers)
    answers = front.both(cases.start(), cancel, cases.check(CODE), flasks=1)
    assert statuses(answers) == [201, 200, 410]


def test_a_store_that_refuses_writes(front: Running) -> None:
    """503, which is no approval; nothing is lost when it takes them again."""
    cases = Cases(front)

    def full(store: "redis.Redis") -> None:
        store.config_set("maxmemory", "1")

    def room(store: "redis.Redis") -> None:
        store.config_set("maxmemory", "0")

    try:
        steps = (cases.start(), full, cases.check(CODE), cases.start("+12025550144"), room, cases.check(CODE))
        answers = front.both(*steps)
    finally:
        room(front.store)
    assert statuses(answers) == [201, 503, 503, 200]
    assert {json.loads(body_of(answer))["code"] for answer in answers[1:3]} == {"store_unavailable"}


@pytest.mark.parametrize("path", ["/verify/check", "/verify/start"])
def test_who_asks(front: Running, path: str) -> None:
    """No key, another scheme, an unknown key, a key without the scope."""
    unknown = "Bearer otp_aaaaaaaaaaaa_" + "x" * 43
    for authorization in (None, "Basic dXNlcjpwYXNz", "Bearer nonsense", unknown):
        headers = JSON if authorization is None else {**JSON, "Authorization": authorization}
        assert statuses(front.both(Request("POST", path, b"{}", headers))) == [401]
    other = Cases(front, "default", "metrics")
    assert statuses(front.both(Request("POST", path, b"{}", other.headers))) == [403]


def test_what_is_sent(front: Running) -> None:
    """Another media type, a body that is none, an empty one, the largest."""
    headers = Cases(front).headers
    for path in ("/verify/check", "/verify/start"):
        for media in ("text/plain", "application/json; charset=latin-1", "application/json; charset=utf-8"):
            front.both(Request("POST", path, b"{}", {**headers, "Content-Type": media}))
        for body in (b"", b"[]", b"null", b"\xff\xfe", b'{"code":NaN}', b'{"code":"1","code":"2"}', b"[" * 60_000):
            assert statuses(front.both(Request("POST", path, body, headers))) == [400]
        largest = b'{"code":"' + b"1" * (64 * 1024 - 11) + b'"}'
        assert statuses(front.both(Request("POST", path, largest, headers))) == [400]


QUERIES = [
    "",
    "?wait=1",
    "?wait=1&after=9",
    "?after=0",
    "?wait=1&wait=1",
    "?wait=99",
    "?wait=",
    "?x=1",
    "?after=1&wait=1",
]


@pytest.mark.parametrize("query", QUERIES)
def test_reading_a_verification(front: Running, query: str) -> None:
    """At once, when something changes, or unchanged after a while."""
    cases = Cases(front)
    started = front.run([cases.start()], {})
    path = f"/verify/{_id(started)}{query}"
    front.both(cases.start(), Request("GET", path, headers=cases.headers), reads=True)
    token = json.loads(body_of(started[0]))["watch_token"]
    front.both(cases.start(), Request("GET", path, headers={"Authorization": f"Bearer {token}"}), reads=True)
    front.both(cases.start(), Request("GET", path))
    other = Cases(front, "other")
    front.both(cases.start(), Request("GET", path, headers=other.headers))


def test_health(front: Running) -> None:
    """It needs no key."""
    asked = Request("GET", "/healthz"), Request("GET", "/readyz")
    # The process looks in the background: what it found in a store that other tests emptied and broke has to pass.
    wait_until(lambda: statuses(front.run_on(asked, {})) == [200, 200], what="readiness")
    before = front.in_loop
    looped, passed_on = front.run_on(asked, {}), front.run_on(asked, ODD)
    assert front.in_loop - before == len(asked)
    assert looped == passed_on
    assert statuses(looped) == [200, 200]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.dictionaries(
    st.sampled_from(["to", "code", "verification_id", "purpose", "context", "channel", "locale", "metadata", "x"]),
    st.sampled_from([TO, CODE, "+1", "", "login", "sms", "vrf_" + "a" * 32, {"a": "b"}, {"amount": " "}]) | JSON_VALUES,
)
BODIES = st.binary(max_size=64) | MEMBERS.map(lambda value: json.dumps(value).encode())


@settings(max_examples=150)
@given(path=st.sampled_from(["/verify/check", "/verify/start"]), body=BODIES)
def test_any_body(front: Running, path: str, body: bytes) -> None:
    """Whatever a caller sends: the same answer both ways, and never a 500."""
    (answer,) = front.both(Request("POST", path, body, Cases(front).headers))
    assert not answer.startswith(b"HTTP/1.1 500")


HEADER_TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=24)


@settings(max_examples=100)
@given(
    headers=st.dictionaries(
        st.sampled_from(["Authorization", "Content-Type", "Idempotency-Key", "X-Forwarded-For", "Accept", "Cookie"]),
        HEADER_TEXT | st.sampled_from(["Bearer", "bearer x", "application/json"]),
    )
)
def test_any_header(front: Running, headers: dict[str, str]) -> None:
    """Whatever a caller sends in headers."""
    (answer,) = front.both(Request("POST", "/verify/check", b"{}", {**Cases(front).headers, **headers}))
    assert not answer.startswith(b"HTTP/1.1 500")


WORDS = st.sampled_from(
    ["verify", "check", "start", "healthz", "audit", "events", "receipts", "vrf_" + "a" * 32, "", "."]
)
PATHS = st.lists(WORDS | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=6), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
QUERIES_OF_ANY = st.dictionaries(
    st.sampled_from(["wait", "after", "limit", "x"]), st.sampled_from(["", "0", "-1", "a", "é"])
)


@settings(max_examples=150)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "BREW"]),
    path=PATHS,
    query=QUERIES_OF_ANY,
    body=BODIES,
    known=st.booleans(),
)
def test_any_request(
    front: Running, method: str, path: str, query: dict[str, str], body: bytes, *, known: bool
) -> None:
    """Whatever the method and path: the same answer whoever gives it, never a 500, and every refusal says why."""
    target = path.replace("#", "%23") + (f"?{urlencode(query)}" if query else "")
    # The audit record would tell the times of its readings: this key may not read it.
    headers = Cases(front, "default", "verify").headers if known else {}
    request = Request(method, target, body if method == "POST" else b"", headers)
    (first,), (second,) = front.run([request], {}), front.run([request], ODD)
    assert first == second
    status = statuses([first])[0]
    assert (status == 501) == (method in ("PURGE", "BREW"))
    assert status < 500 or status == 501
    if status >= 400:
        assert json.loads(body_of(first))["status"] == status
