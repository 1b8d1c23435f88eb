"""GET /verify/{id} for the code screen: waiting for news, the watch token, and pages of other origins."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from ..conftest import wait_until
from .conftest import Answer, ApiHarness
from .request_examples import UNKNOWN_ID
from .test_access import OPEN, ROUTES, scrubbed

ORIGIN = {"Origin": "https://shop.example"}
SHORT_S = 20.0
"""Below the longest wait, and above what a busy machine makes of a moment."""


def started(api: ApiHarness, app: str = "default", **members: object) -> dict[str, Any]:
    """A new verification, as the reply to its start shows it."""
    answer = api.start(api.number(), app, **members)
    assert answer.status == 201, answer.body
    shown: dict[str, Any] = answer.json
    return shown


def poll(
    api: ApiHarness, verification: dict[str, Any], query: str = "", key: str | None = None, **headers: str
) -> "Answer":
    """GET /verify/{id} with this key, or else with the verification's watch token."""
    target = f"/verify/{verification['verification_id']}{query}"
    return api.call("GET", target, key=key or verification["watch_token"], headers=headers)


def is_watching() -> bool:
    """Whether the thread runs that looks for those who wait, as it does while somebody does."""
    return any(thread.name == "watch" for thread in threading.enumerate())


def in_background(api: ApiHarness, verification: dict[str, Any], query: str) -> "Future[Answer]":
    """A poll that is under way."""
    api.key()  # made here, so that the other thread needs not
    wait_until(lambda: not is_watching(), what="the end of earlier waits")
    pool = ThreadPoolExecutor(1)
    future = pool.submit(poll, api, verification, query, "default")
    pool.shutdown(wait=False)
    wait_until(is_watching, what="the wait")
    return future


# ---- waiting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["", "&after={version}"])
def test_a_change_is_reported_when_it_happens(api: ApiHarness, after: str) -> None:
    """The wait ends with the new state and a greater version, with and without the version that was seen."""
    verification = started(api)
    waiting = in_background(api, verification, f"?wait=25{after.format(**verification)}")
    assert not waiting.done()
    began = time.monotonic()
    api.call("POST", f"/verify/{verification['verification_id']}/cancel")
    answer = waiting.result(20)
    assert time.monotonic() - began < SHORT_S
    assert (answer.status, answer.json["status"]) == (200, "canceled")
    assert answer.json["version"] > verification["version"]
    assert answer.header("Retry-After") is None


def test_what_has_changed_already_is_answered_at_once(api: ApiHarness) -> None:
    """No wait for what the caller has not seen; nor without `wait`, whatever was seen."""
    verification = started(api)
    began = time.monotonic()
    for query in ("?wait=25&after=0", f"?after={verification['version']}", "?after=999999", ""):
        assert poll(api, verification, query).json["version"] == verification["version"]
    assert time.monotonic() - began < SHORT_S


def test_no_news_is_the_same_object_after_the_time(api: ApiHarness) -> None:
    """200, unchanged, and not before."""
    verification = started(api)
    began = time.monotonic()
    answer = poll(api, verification, f"?wait=1&after={verification['version']}")
    assert 1 <= time.monotonic() - began < SHORT_S
    assert (answer.status, answer.json["version"]) == (200, verification["version"])


def test_time_alone_is_news(api: ApiHarness) -> None:
    """A code that expires while a request waits: the reply comes then and shows it, without any worker."""
    verification = started(api, "brief")
    began = time.monotonic()
    answer = poll(api, verification, f"?wait=25&after={verification['version']}")
    assert time.monotonic() - began < SHORT_S
    assert answer.json["status"] == "expired"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        *((f"wait={bad}", "?wait") for bad in ("26", "0", "-1", "1.5", "", "x", "1e1", "%D9%A1", "+5", "9" * 5000)),
        *((f"wait=1&after={bad}", "?after") for bad in ("-1", "", "x", "1.0", "9" * 16, "%00")),
        ("wait=1&wait=2", "?wait"),
        ("after=1&after=1", "?after"),
    ],
)
def test_a_wait_that_cannot_be_read(api: ApiHarness, query: str, pointer: str) -> None:
    """400 with the parameter's pointer, for a key and for a token, and nobody waits."""
    verification = started(api)
    for key in ("default", None):
        problem = poll(api, verification, f"?{query}", key).problem(400, "invalid_request")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_nobody_waits_for_what_is_not_there(api: ApiHarness) -> None:
    """404 at once."""
    began = time.monotonic()
    api.call("GET", f"/verify/{UNKNOWN_ID}?wait=25").problem(404, "verification_not_found")
    assert time.monotonic() - began < SHORT_S


# ---- the watch token ------------------------------------------------------------------------------------------------


def test_a_token_shows_the_verification_without_what_is_the_apps(api: ApiHarness) -> None:
    """The same object as with a key, but for `sub`, `metadata` and every `detail`, which are empty."""
    verification = started(api, metadata={"order": 7}, client_ip="203.0.113.9")
    full, part = (poll(api, verification, key=key).json for key in ("default", None))
    assert full["metadata"] == {"order": 7}
    assert any(event["detail"] for event in full["timeline"])
    full["sub"], full["metadata"] = None, {}
    for event in full["timeline"]:
        event["detail"] = {}
    # The seconds that are left may have gone on between the two.
    assert full | {"expires_in": 0, "resend_in": 0} == part | {"expires_in": 0, "resend_in": 0}


def test_the_token_stands_in_the_reply_of_start_only(api: ApiHarness) -> None:
    """201, 200 and a replay have the same one; reading and canceling show none; the store holds it nowhere."""
    number = api.number()
    body, headers = {"to": number}, {"Idempotency-Key": "watch-1"}
    first = api.call("POST", "/verify/start", body, key="strict", headers=headers)
    token = first.json["watch_token"]
    again = api.call("POST", "/verify/start", body, key="strict", headers=headers)
    assert (again.status, again.body, again.header("Idempotent-Replayed")) == (201, first.body, "true")
    resent = api.start(number, "strict")
    assert (resent.status, resent.json["watch_token"]) == (200, token)
    assert b"watch_token" not in poll(api, first.json).body
    canceled = api.call("POST", f"/verify/{first.json['verification_id']}/cancel", key="strict")
    assert b"watch_token" not in canceled.body
    assert poll(api, first.json).json["status"] == "canceled"
    for name in api.store.keys("*"):
        assert token[3:].encode() not in (api.store.dump(name) or b"")


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_a_token_opens_nothing_else(api: ApiHarness, method: str, path: str, scope: str) -> None:
    """On every route with a scope it is what an invalid key is: 401, byte for byte."""
    verification = started(api)
    body = b"{}" if method == "POST" else None
    path = path.replace(UNKNOWN_ID, verification["verification_id"]) if method == "POST" else path
    answer = api.call(method, path, body, key=verification["watch_token"])
    answer.problem(401, "unauthorized")
    unknown = api.call(method, path, body, key=f"otp_{'0' * 12}_{'A' * 43}")
    assert scrubbed(answer) == scrubbed(unknown)
    assert poll(api, verification).json["status"] == "pending", scope


def test_a_token_is_no_key_for_metrics(api: ApiHarness) -> None:
    """From outside it opens no metrics either; what is open stays open."""
    token = started(api)["watch_token"]
    api.call("GET", "/metrics", key=token, peer="203.0.113.9").problem(401, "unauthorized")
    for path in OPEN:
        assert api.call("GET", path, key=token).status == 200


def test_a_token_is_no_oracle(api: ApiHarness) -> None:
    """Another verification, one of another app, one that never was: the same 401; an altered token, too."""
    mine, other, foreign = started(api), started(api), started(api, "other")
    token = mine["watch_token"]
    answers = [
        api.call("GET", f"/verify/{name}", key=token)
        for name in (other["verification_id"], foreign["verification_id"], UNKNOWN_ID, "vrf_x", "x")
    ]
    flipped = token[:-2] + ("aa" if token[-2:] != "aa" else "bb")
    answers += [poll(api, mine, key=bad) for bad in (flipped, token + "a", token[:-1], token.upper(), "wt_", "wt_é")]
    for answer in answers:
        answer.problem(401, "unauthorized")
        assert scrubbed(answer) == scrubbed(answers[0])
    poll(api, mine, key="other").problem(404, "verification_not_found")


def test_a_token_ends_with_the_verification(api: ApiHarness) -> None:
    """What the store has forgotten is not found, by the token as by a key."""
    verification = started(api)
    for name in api.store.keys(f"*:verification:{verification['verification_id'][4:]}"):
        api.store.delete(name)
    by_token = poll(api, verification, "?wait=25").problem(404, "verification_not_found")
    by_key = poll(api, verification, key="default").problem(404, "verification_not_found")
    assert by_token["detail"] == by_key["detail"]


# ---- pages of other origins -----------------------------------------------------------------------------------------


def test_a_browser_may_ask(api: ApiHarness) -> None:
    """The preflight: 204 for any origin, GET with Authorization only, without any credentials of the browser's."""
    verification = started(api)
    asked = {**ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for path in (verification["verification_id"], UNKNOWN_ID, "x"):
        answer = api.call("OPTIONS", f"/verify/{path}", key=None, headers=asked)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.header("Access-Control-Allow-Origin") == "*"
        assert answer.header("Access-Control-Allow-Methods") == "GET"
        assert answer.header("Access-Control-Allow-Headers") == "Authorization"
        assert int(answer.header("Access-Control-Max-Age") or 0) > 0
        assert answer.header("Access-Control-Allow-Credentials") is None


def test_a_page_can_read_every_answer_of_the_poll(api: ApiHarness) -> None:
    """Also a refusal, whose status a page has to see."""
    verification = started(api)
    for answer in (
        poll(api, verification, **ORIGIN),
        poll(api, verification, "?wait=x", **ORIGIN),
        poll(api, verification, key="wt_x", **ORIGIN),
        poll(api, verification, key="other", **ORIGIN),
    ):
        assert answer.header("Access-Control-Allow-Origin") == "*"
        assert answer.header("Access-Control-Expose-Headers") == "Retry-After, X-Request-Id"
        assert answer.header("Access-Control-Allow-Credentials") is None


def test_pages_can_read_nothing_else(api: ApiHarness) -> None:
    """No other route has a header of CORS, nor answers a preflight."""
    verification = started(api)["verification_id"]
    others = [(method, path) for method, path, _ in ROUTES if (method, path) != ("GET", f"/verify/{UNKNOWN_ID}")]
    for method, path in [*others, *(("GET", path) for path in OPEN), ("POST", f"/verify/{verification}")]:
        answer = api.call(method, path, b"{}" if method == "POST" else None, headers=ORIGIN)
        asked = api.call("OPTIONS", path, headers={**ORIGIN, "Access-Control-Request-Method": method}, key=None)
        for one in (answer, *([] if path == f"/verify/{verification}" else [asked])):
            assert not [name for name, _ in one.headers if name.lower().startswith("access-control")], (method, path)
        assert asked.status == (204 if path == f"/verify/{verification}" else 405)
