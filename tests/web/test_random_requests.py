"""Random requests: whatever comes, the answer is one of the contract and never an internal error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import ApiHarness
from .request_examples import ENDPOINTS, GOOD

FUZZ = settings(max_examples=80)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner))
MEMBERS = "to code channel purpose locale context client_ip autofill metadata receipt verification_id web_origin"
names = st.sampled_from(MEMBERS.split())


@FUZZ
@given(path=st.sampled_from(ENDPOINTS), body=st.binary(max_size=200))
def test_any_bytes(api: ApiHarness, path: str, body: bytes) -> None:
    """Random bytes as a body are a problem document or, by rare luck, a request."""
    api.call("POST", path, body)


@FUZZ
@given(path=st.sampled_from(ENDPOINTS), body=st.dictionaries(names | st.text(max_size=5), values, max_size=6))
def test_any_object(api: ApiHarness, path: str, body: dict[str, object]) -> None:
    """Random JSON objects with our members' names are judged without a 500 (also in what json.dumps calls JSON)."""
    api.call("POST", path, {**GOOD[path], **body})


@FUZZ
@given(cut=st.integers(0, 200), junk=st.binary(max_size=3), path=st.sampled_from(ENDPOINTS))
def test_damaged_requests(api: ApiHarness, cut: int, junk: bytes, path: str) -> None:
    """A good body with a few bytes put in or cut off anywhere."""
    whole = json.dumps({**GOOD[path], "metadata": {"a": [1.5, "\u00e9:", {"b": None}]}}).encode()
    api.call("POST", path, whole[:cut] + junk + whole[cut:])
    api.call("POST", path, whole[:cut] + junk)


raw_paths = st.binary(max_size=30).map(lambda raw: "/" + "".join(f"%{byte:02X}" for byte in raw))
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "CONNECT", "BREW"])


@FUZZ
@given(
    method=methods,
    head=st.sampled_from(
        ["", "/verify", "/optouts", "/audit/events", "/webhooks/telnyx", "/receipts", "/verify/start"]
    ),
    tail=raw_paths,
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
)
def test_any_path(api: ApiHarness, method: str, head: str, tail: str, query: str) -> None:
    """Any method on any path, in any percent-encoding, with any query string."""
    api.call(method, f"{head}{tail}?{query.replace('#', '')}", b"{}" if method == "POST" else None)


HEADERS = (
    "Authorization Content-Type Idempotency-Key Host telnyx-timestamp telnyx-signature-ed25519 Accept Cookie "
    "Transfer-Encoding X-Forwarded-For Expect Range Upgrade Connection"
)


@FUZZ
@given(
    name=st.sampled_from(HEADERS.split()),
    value=st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=40),
    path=st.sampled_from([*ENDPOINTS, "/webhooks/telnyx", "/metrics", "/audit/events", "/docs"]),
)
def test_any_header(api: ApiHarness, name: str, value: str, path: str) -> None:
    """Any value of any header that we or a framework might look at, in the bytes a server passes on (Latin-1)."""
    method = "POST" if path in (*ENDPOINTS, "/webhooks/telnyx") else "GET"
    api.call(method, path, b"{}" if method == "POST" else None, headers={name: value})


@pytest.mark.parametrize("name", ["amount", "payee"])
@pytest.mark.parametrize("words", ["", "   ", "\u3164", "\u2800\u115f"], ids=ascii)
def test_invisible_characters_are_no_amount_and_no_payee(api: ApiHarness, name: str, words: str) -> None:
    """A payment is confirmed by what stands in the message: blank words are refused, nothing is queued."""
    context = {"amount": "5 EUR", "payee": "Bob", name: words}
    problem = api.start(api.number(), context=context).problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"] == f"/context/{name}"
