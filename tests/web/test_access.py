"""Who may do what: every route with every scope, tenants that cannot see one another, and what proxies may not say."""

import time

import pytest

from otp_service import bootstrap
from otp_service.storage.api_keys import SCOPES

from .conftest import OTHER_PROFILE, PROFILE, Answer, ApiHarness
from .request_examples import UNKNOWN_FACTOR, UNKNOWN_ID

ROUTES = [
    ("POST", "/verify/start", "verify"),
    ("POST", "/verify/check", "verify"),
    ("GET", f"/verify/{UNKNOWN_ID}", "verify"),
    ("POST", f"/verify/{UNKNOWN_ID}/cancel", "verify"),
    ("POST", "/receipts/redeem", "verify"),
    ("POST", "/factors/totp", "factors"),
    ("POST", f"/factors/totp/{UNKNOWN_FACTOR}/confirm", "factors"),
    ("POST", f"/factors/{UNKNOWN_FACTOR}/check", "factors"),
    ("POST", "/factors/recovery-codes", "factors"),
    ("GET", "/factors?subject=x", "factors"),
    ("GET", "/optouts/%2B12025550143", "optouts:read"),
    ("GET", "/people/%2B12025550143", "support"),
    ("POST", "/people/%2B12025550143/lift", "support"),
    ("GET", "/audit/events", "audit:read"),
]
OPEN = ["/healthz", "/readyz", "/.well-known/jwks.json", "/openapi.json", "/docs"]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_every_route_takes_exactly_its_scope(api: ApiHarness, method: str, path: str, scope: str) -> None:
    """A key with another scope, or with all others, is 403; with the scope alone the request is judged."""
    body = b"{}" if method == "POST" else None
    for other in SCOPES:
        answer = api.call(method, path, body, key=api.key("default", other))
        if other == scope or (other, scope) == ("audit:all", "audit:read"):
            assert answer.status in (200, 400, 404), answer.body
        else:
            assert scope in answer.problem(403, "forbidden")["detail"]
    others = tuple(other for other in SCOPES if other not in (scope, "audit:all"))
    api.call(method, path, body, key=api.key("default", *others)).problem(403, "forbidden")


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_no_key_no_answer(api: ApiHarness, method: str, path: str, scope: str) -> None:
    """401 with WWW-Authenticate for a missing, malformed, unknown, foreign or altered key."""
    good = api.key("default", scope)
    prefix, key_id, secret = good.split("_", 2)
    flipped = ("A" if secret[0] != "A" else "B") + secret[1:]
    bad = [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        good,
        f"Token {good}",
        f"Bearer {good} {good}",
        f"Bearer {good},{good}",
        f'Bearer "{good}"',
        f"Bearer {good}\u00e9",
        f"Bearer {good[:-1]}",
        f"Bearer {good}A",
        f"Bearer {good.upper()}",
        f"Bearer {prefix}_{key_id}_{flipped}",
        f"Bearer {prefix}_{'0' * 12}_{secret}",
        "Bearer " + "x" * 20_000,
        "Bearer otp_*_*",
    ]
    for value in bad:
        headers = {} if value is None else {"Authorization": value}
        answer = api.call(method, path, b"{}" if method == "POST" else None, key=None, headers=headers)
        answer.problem(401, "unauthorized")
        assert secret.encode() not in answer.body
    for good_way in (f"Bearer {good}", f"bearer {good}", f"BEARER  {good} "):
        body = b"{}" if method == "POST" else None
        assert api.call(method, path, body, key=None, headers={"Authorization": good_way}).status != 401


@pytest.mark.parametrize("path", OPEN)
def test_open_routes_need_no_key(api: ApiHarness, path: str) -> None:
    """Health, public keys and the description answer everybody, from anywhere, with any junk for a key."""
    for headers in ({}, {"Authorization": "Bearer junk"}, {"X-Forwarded-For": "203.0.113.9"}):
        answer = api.call("GET", path, key=None, headers=headers, peer="203.0.113.9")
        assert answer.status == 200
    public = path not in ("/healthz", "/readyz")
    cache = answer.header("Cache-Control") or ""
    assert ("no-store" in cache) is not public


def test_expired_and_revoked_keys_are_refused(api: ApiHarness) -> None:
    """A key past its time is 401 at once; a revoked one within five seconds, in processes that know it, too."""
    keys = bootstrap.build_api_keys(api.settings)
    over = keys.create("default", ["verify"], 0)
    api.call("GET", f"/verify/{UNKNOWN_ID}", key=over.key).problem(401, "unauthorized")
    made = time.monotonic()
    brief = keys.create("default", ["verify"], 1_000)
    status = api.call("GET", f"/verify/{UNKNOWN_ID}", key=brief.key).status
    assert status == 404 or time.monotonic() - made > 0.9
    gone = keys.create("default", ["verify"], None)
    assert api.call("GET", f"/verify/{UNKNOWN_ID}", key=gone.key).status == 404
    assert keys.revoke(gone.id)
    began = time.monotonic()
    for ended in (gone, brief):
        asked = began
        while api.call("GET", f"/verify/{UNKNOWN_ID}", key=ended.key).status != 401:
            # What was asked in time may be answered late on a busy machine.
            assert asked - began < 5
            time.sleep(0.05)
            asked = time.monotonic()


def test_a_secret_is_kept_as_a_hash_only(api: ApiHarness) -> None:
    """No key's secret is anywhere in the store, nor in any reply."""
    secret = api.key().split("_", 2)[2]
    api.started(api.number())
    for name in api.store.keys("*"):
        assert secret.encode() not in (api.store.dump(name) or b"")


def scrubbed(answer: Answer) -> tuple[int, bytes, list[str]]:
    """An answer without its request id."""
    name = (answer.header("X-Request-Id") or "").encode()
    return answer.status, answer.body.replace(name, b"ID"), [key for key, _ in answer.headers]


def test_another_tenants_verification_does_not_exist(api: ApiHarness) -> None:
    """Reading, checking (with the right code), canceling: byte for byte the 404 of an id that never was; untouched."""
    number = api.number()
    verification = api.started(number)
    code = api.code(verification)

    def answers(verification_id: str) -> list[Answer]:
        return [
            api.call("GET", f"/verify/{verification_id}", key="other"),
            api.check(verification_id, code, "other"),
            api.check(verification_id, "000000", "other"),
            api.check(verification_id, code, "other", context={"a": "b"}),
            api.call("POST", f"/verify/{verification_id}/cancel", key="other"),
            api.call("POST", f"/verify/{verification_id}/cancel", {}, key="other"),
        ]

    foreign, unknown = answers(verification), answers(UNKNOWN_ID)
    for answer in foreign:
        answer.problem(404, "verification_not_found")
    assert [scrubbed(answer) for answer in foreign] == [scrubbed(answer) for answer in unknown]
    by_number = api.call("POST", "/verify/check", {"to": number, "code": code}, key="other")
    nobody = api.call("POST", "/verify/check", {"to": api.number(), "code": code}, key="other")
    assert scrubbed(by_number) == scrubbed(nobody)
    shown = api.call("GET", f"/verify/{verification}").json
    assert (shown["status"], shown["checks_left"]) == ("pending", 5)
    assert [event["event"] for event in shown["timeline"]] == ["verification.started", "delivery.queued"]
    assert api.check(verification, code).status == 200
    # Ended ones are as invisible as pending ones.
    assert [scrubbed(answer) for answer in answers(verification)] == [scrubbed(answer) for answer in unknown]


def test_two_tenants_two_verifications(api: ApiHarness) -> None:
    """The same number at two apps has two codes and two budgets; one app's code is wrong for the other."""
    number = api.number()
    mine, theirs = api.started(number), api.started(number, "other")
    for _ in range(4):
        api.check(mine, api.wrong(mine)).problem(422, "code_incorrect")
    assert api.call("GET", f"/verify/{theirs}", key="other").json["checks_left"] == 5
    assert api.check(theirs, api.code(theirs), "other").status == 200
    assert api.check(mine, api.code(mine)).status == 200


def test_purposes_do_not_mix(api: ApiHarness) -> None:
    """A code of one purpose is wrong for the other, and asking by number finds the purpose asked for."""
    number = api.number()
    login, bind = api.started(number), api.started(number, purpose="bind")
    assert login != bind
    if api.code(login) != api.code(bind):
        api.check(login, api.code(bind)).problem(422, "code_incorrect")
        body = {"to": number, "purpose": "bind", "code": api.code(login)}
        api.call("POST", "/verify/check", body).problem(422, "code_incorrect")
    body = {"to": number, "purpose": "bind", "code": api.code(bind)}
    assert api.call("POST", "/verify/check", body).json["verification_id"] == bind


def test_the_document_names_the_scopes(api: ApiHarness) -> None:
    """Of each route the ones that open it."""
    paths = api.call("GET", "/openapi.json", key=None).json["paths"]
    assert paths["/verify/start"]["post"]["x-scope"] == "verify"
    assert paths["/audit/events"]["get"]["x-scope"] == "audit:read or audit:all"


def test_auditors_see_their_own_apps_events(api: ApiHarness) -> None:
    """Events of another app, or of none, are not in the record that a key sees, whatever it asks for."""
    mine = api.started(api.number())
    theirs = api.started(api.number(), "other")
    api.opt_out(api.number())
    reader = api.key("default", "audit:read")
    seen = api.call("GET", "/audit/events?limit=1000", key=reader).json["events"]
    assert {event["app"] for event in seen} == {"default"}
    assert mine in {event["verification_id"] for event in seen}
    first = mine.replace("vrf_", "dlv_") + "-1"
    shown = api.call("GET", f"/audit/events?delivery={first}", key=reader).json["events"]
    assert [(event["type"], event["delivery_id"]) for event in shown] == [("delivery.queued", first)]
    foreign = theirs.replace("vrf_", "dlv_") + "-1"
    for query in (f"verification={theirs}", f"delivery={foreign}", "app=other", "type=optout.added"):
        page = api.call("GET", f"/audit/events?{query}", key=reader).json
        assert page == {"events": [], "next_cursor": None}
    every = api.call("GET", "/audit/events?limit=1000", key=api.key("default", "audit:all")).json["events"]
    assert {event["app"] for event in every} == {"default", "other", None}


def test_metrics_want_the_scope_wherever_a_request_comes_from(api: ApiHarness) -> None:
    """From loopback too: behind a proxy on this machine everybody comes from there, with headers or without."""
    for peer in ("127.0.0.1", "127.9.9.9", "::1", "203.0.113.9", "10.0.0.1", "", "unix:", "2001:db8::1"):
        api.call("GET", "/metrics", key=None, peer=peer).problem(401, "unauthorized")
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
        value = "for=127.0.0.1" if header == "Forwarded" else "127.0.0.1"
        api.call("GET", "/metrics", key=None, headers={header: value}).problem(401, "unauthorized")
    api.call("GET", "/metrics", key=api.key("default", "verify")).problem(403, "forbidden")
    assert api.call("GET", "/metrics", key=api.key("default", "metrics")).status == 200


def test_metric_names_and_values(api: ApiHarness) -> None:
    """Every name begins with otp_, and no label holds a number, a code, a key or an id of a verification."""
    number = api.number()
    verification = api.started(number)
    code = api.code(verification)
    api.check(verification, code)
    api.call("GET", f"/nowhere/{number}")
    text = api.call("GET", "/metrics").body.decode()
    lines = [line for line in text.splitlines() if line]
    assert all(line.startswith(("otp_", "# HELP otp_", "# TYPE otp_")) for line in lines)
    # The digits of a value, a time for example, or of a profile may be anybody's code.
    named = "\n".join(line.rpartition(" ")[0].replace(PROFILE, "").replace(OTHER_PROFILE, "") for line in lines)
    for secret in (number, number[1:], code, verification[4:], api.key().split("_", 2)[2]):
        assert secret not in named


def test_opt_outs_of_a_number(api: ApiHarness) -> None:
    """Every profile of the app's route with its state; the number masked; STOP shows with keyword and time."""
    number = api.number()
    answer = api.call("GET", f"/optouts/{number.replace('+', '%2B')}")
    assert answer.status == 200
    assert answer.json["to"] == f"+1******{number[-4:]}"
    assert [profile["opted_out"] for profile in answer.json["profiles"]] == [False]
    api.opt_out(number)
    (elsewhere,) = api.call("GET", f"/optouts/{number}", key="abroad").json["profiles"]
    assert (elsewhere["messaging_profile_id"], elsewhere["opted_out"]) == (OTHER_PROFILE, False)
    (stopped,) = api.call("GET", f"/optouts/{number}").json["profiles"]
    assert stopped["messaging_profile_id"] == PROFILE
    assert (stopped["opted_out"], stopped["keyword"], stopped["source"]) == (True, "STOP", "inbound")
    assert stopped["since"] == "2026-01-31T12:00:00.000Z"
    for bad in ("123", "%2B1", "%00", "%FF", "+12025550143%0A", "%2B%D9%A1"):
        api.call("GET", f"/optouts/{bad}").problem(422, "invalid_number")


def test_host_and_proxy_headers_decide_nothing(api: ApiHarness) -> None:
    """Whatever a client claims about host, scheme, address or method, answers and links are the same."""
    number = api.number()
    plain = api.started(number)
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "X-Original-URL": "/healthz",
        "X-Rewrite-URL": "/healthz",
        "X-HTTP-Method-Override": "DELETE",
        "X-Request-Id": "req_mine",
        "X-Script-Name": "/evil",
    }
    answer = api.call("GET", f"/verify/{plain}", headers=forged)
    assert answer.status == 200
    assert b"evil" not in answer.body
    assert answer.header("X-Request-Id") != "req_mine"
    problem = api.call("POST", "/verify/check", {"verification_id": UNKNOWN_ID, "code": "123456"}, headers=forged)
    problem.problem(404, "verification_not_found")
    assert b"evil" not in api.call("GET", "/openapi.json", key=None, headers=forged).body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/verify/start", {"to": "+12025550143"}),
        ("/verify/check", {"to": "+12025550143", "code": "123456"}),
        ("/factors/totp", {"subject": "s"}),
    ],
)
def test_a_key_whose_app_was_removed_says_so(api: ApiHarness, path: str, body: dict[str, str]) -> None:
    """503 and no verdict: another process may have the app. The sentence names it, and what an operator does."""
    answer = api.call("POST", path, body, key=api.key("removed", "verify", "factors"))
    detail = answer.problem(503, "not_ready")["detail"]
    assert "'removed'" in detail
    assert "revoke" in detail
