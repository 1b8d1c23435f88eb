"""Bodies that are not what the contract asks for: status, code and pointer of the first fault."""

import json
from typing import Any

import pytest

from .conftest import ApiHarness
from .request_examples import ENDPOINTS, GOOD, UNKNOWN_ID

BROKEN = {
    "a blank": b" ",
    "not JSON": b"to=%2B12025550143",
    "cut off": b'{"to": "+1202',
    "trailing comma": b'{"to": "+12025550143",}',
    "trailing words": b'{"to": "+12025550143"} x',
    "two documents": b'{"to": "+12025550143"}{"to": "+12025550143"}',
    "single quotes": b"{'to': '+12025550143'}",
    "a comment": b'{"to": "+12025550143" /* c */}',
    "duplicate key": b'{"to": "+12025550143", "to": "+12025550144"}',
    "duplicate key, escaped": b'{"to": "+12025550143", "\\u0074o": "+12025550143"}',
    "duplicate code": b'{"code": "1", "code": "2"}',
    "nested duplicate": b'{"to": "+12025550143", "metadata": {"a": 1, "a": 2}}',
    "duplicate deep in lists": b'{"to": "+12025550143", "metadata": {"x": [[{"a": 1, "a": 1}]]}}',
    "duplicate beside a colon": b'{"to": "+12025550143", "metadata": {"a": ":", "b": {"a": 1, "a": 2}}}',
    "NaN": b'{"to": "+12025550143", "metadata": {"a": NaN}}',
    "Infinity": b'{"to": "+12025550143", "metadata": {"a": Infinity}}',
    "minus Infinity beside a colon": b'{"to": "+12025550143", "metadata": {"a": -Infinity, "b": ":"}}',
    "5,000 digits": b'{"to": "+12025550143", "metadata": {"a": ' + b"1" * 5000 + b"}}",
    "5,000 digits beside a colon": b'{"to": "x:y", "metadata": {"a": ' + b"9" * 5000 + b"}}",
    "1e999": b'{"to": "+12025550143", "metadata": {"a": 1e999}}',
    "1e999 beside a colon": b'{"to": "x:y", "metadata": {"a": 1e999}}',
    "leading zero": b'{"to": "+12025550143", "metadata": {"a": 01}}',
    "hexadecimal": b'{"to": "+12025550143", "metadata": {"a": 0x1}}',
    "10,000 lists": b"[" * 10_000,
    "10,000 lists, closed": b"[" * 10_000 + b"]" * 10_000,
    "10,000 objects": b'{"a":' * 10_000,
    "10,000 objects, closed": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "900 lists in metadata": b'{"to": "x:y", "metadata": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
    "5,000 lists in metadata": b'{"to": "x:y", "metadata": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
    "UTF-16": '{"to": "+12025550143"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"to": "+12025550143"}'.encode("utf-16-le"),
    "UTF-32": '{"to": "+12025550143"}'.encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + b'{"to": "+12025550143"}',
    "Latin-1": b'{"to": "+12025550143", "purpose": "caf\xe9"}',
    "overlong UTF-8": b'{"to": "+12025550143", "purpose": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"to": "+12025550143", "purpose": "\xed\xa0\x80"}',
    "lone high surrogate": b'{"to": "+12025550143", "purpose": "\\ud800"}',
    "lone low surrogate": b'{"to": "+12025550143", "purpose": "\\udc00 tail tail tail"}',
    "lone surrogate in a name": b'{"to": "+12025550143", "\\ud800": 1}',
    "raw control character": b'{"to": "+12025550143", "purpose": "a\x01b"}',
    "NUL byte": b'{"to": "+12025550143"}\x00',
    "only NUL": b"\x00" * 100,
    "array": b"[]",
    "array of objects": b'[{"to": "+12025550143"}]',
    "null": b"null",
    "true": b"true",
    "string": b'"+12025550143"',
    "number": b"7",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_json_object_of_ours_is_400(api: ApiHarness, path: str, name: str) -> None:
    """400 invalid_request with a list of errors, each with a pointer; with and without an Idempotency-Key."""
    for headers in ({}, {"Idempotency-Key": "k"}):
        problem = api.call("POST", path, BROKEN[name], headers=headers).problem(400, "invalid_request")
        assert problem["errors"]
        for error in problem["errors"]:
            assert set(error) == {"pointer", "detail"}
            assert error["pointer"] == "" or error["pointer"].startswith("/")
    assert not api.store.keys("*:outbox")


@pytest.mark.parametrize("path", [path for path in ENDPOINTS if not path.endswith("cancel")])
def test_an_empty_body_is_400(api: ApiHarness, path: str) -> None:
    """No body, or an empty object where members are required, names what is missing."""
    api.call("POST", path, b"").problem(400, "invalid_request")
    problem = api.call("POST", path, b"{}").problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"].lstrip("/") in GOOD[path]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=",
        "application/jsonx",
        "application/problem+json",
        "application/json, text/plain",
        "application/json\x00",
        "application",
        "json",
        "*/*",
        "x" * 10_000,
    ],
)
def test_only_json_in_utf8_is_taken(api: ApiHarness, path: str, kind: str) -> None:
    """415 unsupported_media_type for every other declaration of the body, and for none."""
    answer = api.call("POST", path, GOOD[path] or b"{}", headers={"Content-Type": kind})
    answer.problem(415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_the_usual_declarations_are_taken(api: ApiHarness, kind: str) -> None:
    """Letter case, blanks and a charset of UTF-8 make no difference."""
    body = {"to": api.number()}
    assert api.call("POST", "/verify/start", body, headers={"Content-Type": kind}).status == 201


@pytest.mark.parametrize("path", [*ENDPOINTS, "/webhooks/telnyx", "/webhooks/telnyx/dlv_x"])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_have_an_end(api: ApiHarness, path: str, chunked: bool) -> None:
    """Over 64 kB is 413 on every endpoint, declared or chunked; exactly 64 kB is read."""
    for headers in ({}, {"Idempotency-Key": "k"}):
        answer = api.call("POST", path, b" " * 65_537, chunked=chunked, headers=headers)
        answer.problem(413, "payload_too_large")
    assert api.call("POST", path, b" " * 65_536, chunked=chunked).status in (400, 401)


@pytest.mark.parametrize(
    "path",
    [
        *("/healthz", "/readyz", "/docs", "/openapi.json", "/.well-known/jwks.json", "/metrics", "/factors?subject=a"),
        *("/people/%2B12025550143", "/optouts/%2B12025550143", "/audit/events", f"/verify/{UNKNOWN_ID}"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_means_nothing_has_the_same_end(api: ApiHarness, path: str, chunked: bool) -> None:
    """A GET may have a body, which is not looked at; over 64 kB it is 413, too."""
    api.call("GET", path, b" " * 65_537, chunked=chunked).problem(413, "payload_too_large")
    assert api.call("GET", path, b" " * 65_536, chunked=chunked).status in (200, 404)


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "+5", "0x10", "9" * 30, "1 2", "5,5", "\u0665"])
def test_a_length_that_is_no_length(api: ApiHarness, length: str) -> None:
    """A Content-Length that no server should have let through is a malformed request or too large, never a 500."""
    for path in (*ENDPOINTS, "/webhooks/telnyx"):
        answer = api.call("POST", path, b'{"to": "+12025550143"}', headers={"Content-Length": length})
        assert answer.status in (400, 401, 413), (path, answer.body)


WRONG_TYPES: list[object] = [None, True, 0, -1, 1.5, 10**30, "", [], ["x"], {}, {"a": 1}, "x" * 5000, "\u0000"]


@pytest.mark.parametrize(
    ("path", "member"),
    [
        *(("/verify/start", name) for name in ("to", "channel", "purpose", "locale", "context", "client_ip")),
        *(("/verify/start", name) for name in ("autofill", "metadata")),
        *(("/verify/check", name) for name in ("code", "verification_id", "to", "purpose", "context")),
        *(("/receipts/redeem", name) for name in ("receipt", "to", "sub", "purpose")),
    ],
)
@pytest.mark.parametrize("value", WRONG_TYPES, ids=lambda value: json.dumps(value)[:20])
def test_members_of_another_type(api: ApiHarness, path: str, member: str, value: object) -> None:
    """A member with a value of the wrong type, empty, or far too long is 4xx with its pointer, or harmless."""
    body = {**GOOD[path], member: value}
    if path == "/verify/check" and member == "to":
        del body["verification_id"]
    answer = api.call("POST", path, body)
    harmless = {"metadata": ({}, {"a": 1}), "context": ({},)}
    any_text = member == "locale" and isinstance(value, str)
    if any_text or (path == "/verify/start" and value in harmless.get(member, ())):
        assert answer.status == 201
    elif answer.status == 400:
        pointer = answer.problem(400, "invalid_request")["errors"][0]["pointer"]
        assert pointer.startswith(f"/{member}") or member == "purpose", pointer
    else:
        assert answer.status in (404, 422), answer.body


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/verify/start", {"to": "+12025550143", "nope": 1}, "/nope"),
        ("/verify/start", {"to": "+12025550143", "a/b~c": 1}, "/a~1b~0c"),
        ("/verify/start", {"to": "+12025550143", "To": "x"}, "/To"),
        ("/verify/start", {"to": "+12025550143", "autofill": {"nope": 1}}, "/autofill/nope"),
        ("/verify/start", {"to": "+12025550143", "autofill": {}}, "/autofill"),
        (
            "/verify/start",
            {"to": "+12025550143", "autofill": {"web_origin": "a.example", "android_hash": "abcdefghijk"}},
            "/autofill",
        ),
        ("/verify/start", {"to": "+12025550143", "autofill": {"web_origin": "https://a.example"}}, None),
        ("/verify/start", {"to": "+12025550143", "autofill": {"web_origin": "a.example\n@evil #1"}}, None),
        ("/verify/start", {"to": "+12025550143", "autofill": {"android_hash": "abcdefghij\n"}}, None),
        ("/verify/start", {"to": "+12025550143", "context": {"a": 1}}, "/context"),
        ("/verify/start", {"to": "+12025550143", "context": {"a": "x\n123456"}}, "/context"),
        ("/verify/start", {"to": "+12025550143", "context": {str(n): "x" for n in range(9)}}, "/context"),
        ("/verify/start", {"to": "+12025550143", "purpose": "x" * 33}, "/purpose"),
        ("/verify/start", {"to": "+12025550143", "purpose": "a\u0000b"}, "/purpose"),
        ("/verify/start", {"to": "+12025550143", "channel": "fax"}, "/channel"),
        ("/verify/start", {"to": "+12025550143", "client_ip": "127.1"}, "/client_ip"),
        ("/verify/start", {"to": "+12025550143", "client_ip": "fe80::1%eth0"}, "/client_ip"),
        ("/verify/start", {"to": "+12025550143", "client_ip": "\u0661.1.1.1"}, "/client_ip"),
        ("/verify/start", {"to": "+12025550143", "metadata": {"a": "x" * 1024}}, "/metadata"),
        ("/verify/check", {"code": "123456"}, "/verification_id"),
        ("/verify/check", {"code": "123456", "purpose": "login"}, "/verification_id"),
        ("/verify/check", {"code": "123456", "verification_id": "x", "to": "+1202555014\u0663"}, "/to"),
        ("/verify/check", {"code": "123456", "verification_id": "x", "to": None}, "/to"),
        ("/verify/check", {"code": "123456", "verification_id": "x", "purpose": ""}, "/purpose"),
        ("/verify/check", {"code": "123456", "subject": "user\u00007"}, "/subject"),
        ("/verify/check", {"code": 123456, "verification_id": "x"}, "/code"),
        ("/verify/check", {"code": "123456", "verification_id": "x", "skip_delete": True}, "/skip_delete"),
        (f"/verify/{UNKNOWN_ID}/cancel", {"nope": 1}, "/nope"),
        ("/receipts/redeem", {"receipt": "x", "nope": None}, "/nope"),
        ("/receipts/redeem", {"receipt": "x" * 4097}, "/receipt"),
        ("/receipts/redeem", {"receipt": "x", "to": "+1202555014\u0663"}, "/to"),
        ("/receipts/redeem", {"receipt": "x", "sub": None}, "/sub"),
    ],
)
def test_the_pointer_shows_the_place(api: ApiHarness, path: str, body: dict[str, Any], pointer: str | None) -> None:
    """Unknown members and unusable values are refused with the RFC 6901 pointer of their place."""
    problem = api.call("POST", path, body).problem(400, "invalid_request")
    found = problem["errors"][0]["pointer"]
    if pointer is None:
        assert found.startswith("/autofill/")
    else:
        assert found == pointer


def test_metadata_comes_back_as_it_was(api: ApiHarness) -> None:
    """Numbers of any size that JSON has, text of any script and nested values, within 1 kB as JSON."""
    metadata = {
        "big": 10**30,
        "neg": -(2**63) - 1,
        "float": 1.5,
        "small": 5e-324,
        "text": '\u0000\u2028\U0001f600:"\\',
        "deep": [[[{"a": [None, True, False]}]]],
        "": "",
        "__proto__": {"constructor": 1},
    }
    answer = api.start(api.number(), metadata=metadata)
    assert answer.status == 201, answer.body
    assert answer.json["metadata"] == metadata
    shown = api.call("GET", f"/verify/{answer.json['verification_id']}")
    assert shown.json["metadata"] == metadata


@pytest.mark.parametrize(
    ("member", "told"),
    [
        ({"to": 5}, ("/to", "Expected `string`, got `integer`")),
        ({"dry_run": "yes"}, ("/dry_run", "Expected `boolean`, got `string`")),
        ({"channel": "voice"}, ("/channel", "Expected one of sms, whatsapp")),
        ({"str": 1}, ("/str", "Object contains unknown field `str`")),
    ],
)
def test_an_error_is_told_in_words_of_json(api: ApiHarness, member: dict[str, Any], told: tuple[str, str]) -> None:
    """No types of Python, and where only some values are good, these."""
    body = json.dumps({"to": "+12025550143", **member}).encode()
    (error,) = api.call("POST", "/verify/start", body).problem(400, "invalid_request")["errors"]
    assert (error["pointer"], error["detail"]) == told


def test_an_error_of_a_lift_names_the_values_that_are_good(api: ApiHarness) -> None:
    """As every enumeration does."""
    problem = api.call("POST", "/people/%2B12025550143/lift", b'{"what": "x", "reason": "y"}', key="default")
    assert problem.problem(400, "invalid_request")["errors"] == [
        {"pointer": "/what", "detail": "Expected one of lock, optout"}
    ]
