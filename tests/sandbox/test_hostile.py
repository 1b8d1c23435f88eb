"""Hostile requests: bounded, in the right envelope, never a 500."""

from __future__ import annotations

import json
import socket

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.server import SandboxServer
from tests.sandbox.conftest import BACKUP, KEY, PERSON, PROFILE, chaos, code_of, eventually, inbox, journal, long_code

SENDS = [
    "/v2/messages",
    "/v2/messages/long_code",
    "/v2/messages/number_pool",
    "/v2/messages/short_code",
    "/v2/messages/alphanumeric_sender_id",
    "/v2/messages/whatsapp",
    "/v2/messages/group_mms",
    "/v2/messages/schedule",
    "/v2/messaging_numbers_bulk_updates",
]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "KEY-of-tests"])
def test_no_key_no_answer(api: httpx.Client, header: str | None) -> None:
    """Without a Bearer key every path under /v2 is 401 10009, known or not."""
    api.headers.pop("Authorization")
    for path in (*SENDS, "/v2/messages/x", "/v2/messaging_optouts", "/v2/nowhere", "/v2"):
        answer = api.get(path, headers={} if header is None else {"Authorization": header})
        assert (answer.status_code, code_of(answer)) == (401, "10009"), path


def test_a_given_key_is_the_only_one() -> None:
    """With a key given to the sandbox, only that key opens it; without one, any does."""
    strict = create_app(Carrier(api_key="KEY-right"))
    with httpx.Client(transport=httpx.WSGITransport(strict), base_url="http://sandbox") as api:
        for key, status in (("KEY-right", 200), ("KEY-wrong", 401), ("KEY-right2", 401), ("KEY", 401)):
            answer = api.get("/v2/messaging_optouts", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
        refused = api.get("/v2/messaging_optouts")
        assert refused.json()["code"] == code_of(refused) == "10009"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "10023"),
        (b"{", "10023"),
        (b"not json", "10023"),
        (b'{"to": NaN}', "10023"),
        (b'{"to": ' + b"1" * 5000 + b"}", "10023"),
        (b"[" * 100_000, "10023"),
        (b'{"a":' * 50_000, "10023"),
        (b"\xff\xfe{\x00}\x00", "10023"),
        (b"\xef\xbb\xbf{}", "10023"),
        (b"null", "10015"),
        (b"[]", "10015"),
        (b'"x"', "10015"),
    ],
)
def test_malformed_json(api: httpx.Client, body: bytes, code: str) -> None:
    """A body that is not a JSON object is 400 in the carrier's envelope, wherever it is sent."""
    for path in SENDS:
        answer = api.post(path, content=body)
        assert (answer.status_code, code_of(answer)) == (400, code), path


def test_lone_surrogates_are_refused(api: httpx.Client) -> None:
    """Text that is no Unicode does not come in."""
    body = b'{"from":"+18445550001","to":"+13125550199","text":"\\ud800"}'
    assert code_of(api.post("/v2/messages/long_code", content=body)) == "10015"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/nowhere", 404, "10005"),
        ("GET", "/v2", 404, "10005"),
        ("GET", "/v2//messages", 404, "10005"),
        ("POST", "/v2/messages/", 404, "10005"),
        ("POST", "/v2/messages/rcs", 405, "10015"),
        ("GET", "/v2/messages", 405, "10015"),
        ("PUT", "/v2/messages/long_code", 405, "10015"),
        ("POST", "/v2/messaging_optouts", 405, "10015"),
        ("DELETE", "/v2/phone_numbers/1/messaging", 405, "10015"),
        ("OPTIONS", "/v2/messages", 405, "10015"),
    ],
)
def test_unknown_paths_and_methods(api: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    """What is not served is 404 or 405 in the carrier's envelope."""
    answer = api.request(method, path)
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/sandbox/nowhere", 404), ("DELETE", "/sandbox/chaos", 405), ("GET", "/nowhere", 404), ("POST", "/", 405)],
)
def test_control_errors(api: httpx.Client, method: str, path: str, status: int) -> None:
    """Outside /v2 an error is one sentence under `error`."""
    answer = api.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("path", ["/v2/messages", "/sandbox/chaos"])
def test_large_bodies_are_refused_over_a_socket(http: httpx.Client, path: str) -> None:
    """More than a megabyte is 413, whether announced or chunked, and the client gets to read it."""
    method = "POST" if path.startswith("/v2") else "PUT"
    big = b"x" * 3_000_000
    for content in (big, iter([big[:500_000]] * 6)):
        answer = http.request(method, path, content=content)
        assert answer.status_code == 413
        assert set(answer.json()) <= {"errors", "error"}
    assert long_code(http).status_code == 200


def test_a_megabyte_is_read(http: httpx.Client) -> None:
    """A body just within the bound is judged by its content."""
    text = "x" * 999_000
    assert code_of(long_code(http, text=text)) == "40302"
    assert len(journal(http)[0]["body"]["text"]) == 999_000


def _exchange(sandbox: SandboxServer, raw: bytes) -> bytes:
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(raw)
        got = b""
        while True:
            data = connection.recv(65_536)
            if not data:
                return got
            got += data


def test_odd_framing_closes_the_connection(sandbox: SandboxServer) -> None:
    """A length that is none leaves no second request hidden in the first one's body."""
    hidden = b"GET /sandbox/journal HTTP/1.1\r\nHost: x\r\n\r\n"
    for length in (b"abc", b"-5", b"+5", b"1e3", b"5, 5", b"9" * 30):
        got = _exchange(
            sandbox, b"POST /v2/messages HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n" + hidden
        )
        assert got.count(b"HTTP/1.1 ") == 1, length
        assert b"Connection: close" in got


def test_a_cut_body_is_not_a_request(sandbox: SandboxServer, http: httpx.Client) -> None:
    """A client that leaves in the middle of its body has asked for nothing."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v2/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 99\r\n\r\n{"
        )
    assert http.get("/sandbox/healthz").status_code == 200
    assert journal(http) == []


def test_pipelined_requests_are_answered_in_order(sandbox: SandboxServer) -> None:
    """Two requests in one packet get two answers over one connection."""
    body = b'{"wait_seconds": 0}'
    first = b"PUT /sandbox/chaos HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    got = _exchange(sandbox, first + b"GET /sandbox/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert got.count(b"HTTP/1.1 200") == 2
    assert got.endswith(b'{"status":"ok"}')


def test_http_1_0_and_head(sandbox: SandboxServer, http: httpx.Client) -> None:
    """Old clients get a closed connection; HEAD gets no body."""
    assert _exchange(sandbox, b"GET /sandbox/journal HTTP/1.0\r\n\r\n").endswith(b'{"requests":[],"dropped":0}')
    answer = http.head("/sandbox/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


def test_nothing_is_printed(sandbox: SandboxServer, http: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    """No request, not even a broken one, leaves a line with its path or number."""
    long_code(http)
    http.get(f"/sandbox/phones/{PERSON}/messages")
    http.get(f"/v2/nowhere/{PERSON}")
    _exchange(sandbox, b"GARBAGE +13125550199\r\n\r\n")
    _exchange(sandbox, b"GET / HTTP/9.9\r\n\r\n")
    chaos(http, send={"mode": "reset_after_request"})
    with pytest.raises(httpx.TransportError):
        long_code(http)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_slow_clients_do_not_block_others(sandbox: SandboxServer, http: httpx.Client) -> None:
    """Connections that dawdle leave the others their speed."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    dawdlers = [socket.create_connection((host, int(port))) for _ in range(50)]
    for connection in dawdlers:
        connection.sendall(b"POST /v2/messages HTTP/1.1\r\nContent-Le")
    # A connection that says nothing is kept for 75 s; the client waits for no more than 20.
    assert long_code(http).status_code == 200
    for connection in dawdlers:
        connection.close()


_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)
)
_values = st.recursive(
    _scalars
    | st.sampled_from([BACKUP, PERSON, PROFILE, "12345", "2026-09-21T15:00:00Z", "template", "https://x.example"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(
    [
        "to", "from", "text", "messaging_profile_id", "media_urls", "type", "encoding", "send_at", "webhook_url",
        "use_profile_webhooks", "subject", "whatsapp_message", "numbers", "assign_only", "send", "delivery",
        "webhooks", "senders", "wait_seconds", "rates", "tags", "messaging_product",
    ]
)  # fmt: skip
_ROUTES = [
    *(("POST", path) for path in SENDS),
    ("PATCH", f"/v2/phone_numbers/{BACKUP}/messaging"),
    ("PUT", "/sandbox/chaos"),
    ("POST", f"/sandbox/phones/{PERSON}/messages"),
]


@settings(max_examples=150)
@given(st.sampled_from(_ROUTES), st.dictionaries(_names, _values, max_size=8))
def test_no_body_is_a_500(api: httpx.Client, route: tuple[str, str], body: dict[str, object]) -> None:
    """Whatever stands in a body, the answer is JSON and no server error."""
    api.put("/sandbox/chaos", json={"send": {"mode": "ok"}})
    answer = api.request(*route, content=json.dumps(body).encode())
    assert answer.status_code < 500
    assert isinstance(answer.json(), dict)
    json.loads(api.get("/sandbox/journal").content)


@settings(max_examples=100)
@given(
    st.sampled_from(["/v2/messaging_optouts", "/v2/phone_numbers/messaging", "/v2/mobile_phone_numbers/messaging"]),
    st.dictionaries(
        st.sampled_from(
            ["page[number]", "page[size]", "created_at[gte]", "created_at[lte]", "filter[from]", "filter[type]",
             "filter[phone_number]", "filter[messaging_profile_id]", "sort[phone_number]", "redaction_enabled"]
        ),
        st.text(max_size=20) | st.integers().map(str),
    ),
)  # fmt: skip
def test_no_query_is_a_500(api: httpx.Client, path: str, params: dict[str, str]) -> None:
    """Whatever stands in a query, the answer is a page or a 400."""
    assert api.get(path, params=params).status_code in {200, 400}


def test_markup_stays_text(http: httpx.Client) -> None:
    """Texts are kept as they are, markup included."""
    text = "<script>alert(1)</script>&amp;\u2028"
    long_code(http, text=text)
    assert eventually(lambda: inbox(http))[0]["text"] == text


def test_the_key_is_never_listed(api: httpx.Client) -> None:
    """No answer of the sandbox shows the key it was called with."""
    long_code(api)
    assert KEY["Authorization"].split()[1] not in api.get("/sandbox/journal").text
