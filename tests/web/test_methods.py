"""Methods and paths that are not ours: 404 and 405 as problem documents, HEAD like GET."""

import pytest

from .conftest import ApiHarness
from .request_examples import UNKNOWN_ID


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/verify/check", {"POST"}),
        ("/verify/start", {"POST"}),
        (f"/verify/{UNKNOWN_ID}", {"GET", "HEAD", "OPTIONS"}),
        (f"/verify/{UNKNOWN_ID}/cancel", {"POST"}),
        ("/receipts/redeem", {"POST"}),
        ("/webhooks/telnyx", {"POST"}),
        ("/webhooks/telnyx/dlv_x", {"POST"}),
        ("/optouts/+12025550143", {"GET", "HEAD"}),
        ("/audit/events", {"GET", "HEAD"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
        ("/.well-known/jwks.json", {"GET", "HEAD"}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
def test_other_methods_are_405(api: ApiHarness, path: str, allowed: set[str], method: str) -> None:
    """405 with Allow, with and without a key; nothing is done by a method that is not announced."""
    if method in allowed:
        return
    for key in ("default", None):
        answer = api.call(method, path, key=key)
        assert answer.status == 405, answer.body
        if method != "HEAD":
            answer.problem(405, "method_not_allowed")
        assert set((answer.header("Allow") or "").split(", ")) == allowed


@pytest.mark.parametrize("method", ["BREW", "PROPFIND", "DESCRIBE", "get"])
@pytest.mark.parametrize("path", ["/verify/start", "/healthz", "/nothing/here"])
def test_a_method_that_is_none_of_http(api: ApiHarness, path: str, method: str) -> None:
    """501 whatever the path, as the front answers: such a method is not known for any (RFC 9110, 9.1)."""
    api.call(method, path).problem(501, "method_unknown")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/verify",
        "/verify/",
        "/verify/start/",
        "/verify//start",
        "/verify/./start",
        "/verify/x/../start",
        "/VERIFY/START",
        "/verify/start%2F",
        "/verify%2Fstart",
        "/verify/%73tart",
        "/%76erify/start",
        "/%68ealthz",
        "/people%2F%2B12025550143",
        "/verify/start;x=1",
        f"/verify/{UNKNOWN_ID}/",
        f"/verify/{UNKNOWN_ID}/cancel/",
        "/healthz/",
        "/webhooks/telnyx/",
        "/webhooks/telnyx/a/b",
        "/static/x",
        "/.env",
        "/..%2f..%2fetc/passwd",
        "/verify/start\\",
        "/%00",
        "/%FF%FE",
        "/" + "a" * 20_000,
        "/console",
        "/audit/events/",
    ],
)
def test_one_spelling_of_a_path_is_one_resource(api: ApiHarness, path: str) -> None:
    """404 (or 405) for every other spelling, never a redirect, and the path is not repeated in the answer."""
    for method in ("GET", "POST"):
        answer = api.call(method, path, b"{}" if method == "POST" else None)
        assert answer.status in (404, 405), (method, answer.status)
        assert answer.header("Location") is None
        assert b"passwd" not in answer.body


@pytest.mark.parametrize("path", ["/people/%2B12025550143", "/people/+12025550143", "/people/%2b1202555014%33"])
def test_a_parameter_may_have_escapes(api: ApiHarness, path: str) -> None:
    """A plus sign is written as it is or as %2B: both are the same number."""
    assert api.call("GET", path).json["to"] == "+1******0143"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs", "/metrics", "/audit/events"])
def test_head_is_get_without_a_body(api: ApiHarness, path: str) -> None:
    """The same status and Content-Type, and no body."""
    got, head = api.call("GET", path), api.call("HEAD", path)
    assert (head.status, head.header("Content-Type"), head.body) == (got.status, got.header("Content-Type"), b"")


def test_the_page_for_people_loads_nothing_from_outside(api: ApiHarness) -> None:
    """/docs is HTML under a policy with a nonce of its own, without inline handlers or foreign addresses."""
    first, second = api.call("GET", "/docs", key=None), api.call("GET", "/docs", key=None)
    policy = first.header("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert policy != second.header("Content-Security-Policy")
    assert b"{{" not in first.body
    assert b"https://" not in first.body
