"""Signed webhooks with odd contents: acknowledged or refused, and never an internal error."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import PROFILE, ApiHarness
from .webhook_events import Flow, members, rejections

ODD: list[object] = [
    {"data": {}},
    {"data": {"event_type": "message.finalized"}},
    {"data": {"event_type": "message.finalized", "id": None, "payload": None}},
    {"data": {"event_type": "message.invented", "id": "e", "payload": {}}},
    {"data": {"event_type": ["message.sent"], "id": {"a": 1}, "payload": []}},
    {"data": {"event_type": "message.sent", "id": "e", "payload": {"id": "m", "to": "x", "errors": {"a": 1}}}},
    {"data": {"event_type": "message.sent", "id": "e", "payload": {"id": 7, "to": [{"phone_number": 7}]}}},
    {"data": {"event_type": "message.sent", "id": "x" * 5000, "payload": {"id": "x" * 5000, "to": []}}},
    {"data": {"event_type": "message.received", "id": "e", "payload": {"from": {}, "text": "STOP"}}},
    {"data": {"event_type": "message.received", "id": "e", "payload": {"id": "m", "from": "12345", "text": "STOP"}}},
    {
        "data": {
            "event_type": "message.link_click",
            "id": "e",
            "payload": {"message_id": "m", "url": "u", "to": "\ud800"},
        }
    },
    {"data": {"event_type": "messaging-profile.spend-limit-reached", "id": "e", "payload": {"profile_id": "p"}}},
    {"data": {"record_type": "link_clicked", "message_id": "m", "url": "https://x.example", "to": "+1"}},
    {"data": {"event_type": "\ud800", "id": "\udfff"}},
    {"data": {"event_type": "message.finalized", "id": "e\u0000", "occurred_at": "never", "payload": {"to": None}}},
    {"data": {"a": 1}, "meta": [1, 2, 3], "more": {}},
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_everything_else_that_is_signed_is_200(api: ApiHarness, body: object) -> None:
    """Unknown events, unusable members, half surrogates: acknowledged with an empty body, so content is no oracle."""
    for path in ("", "/dlv_x", "/" + "dlv_" + "a" * 32 + "-1", "/%00", "/%FF"):
        answer = api.hook(body, path)
        assert (answer.status, answer.body) == (200, b"")


NO_EVENTS = [b"", b"null", b"[]", b"7", b'"x"', b"{}", b'{"data": null}', b'{"data": []}', b'{"data": "x"}', b"{"]
NO_EVENTS += [b"\xff", b"[" * 10_000, '{"data": {}}'.encode("utf-16"), b"\xef\xbb\xbf" + b'{"data": {}}']


@pytest.mark.parametrize("body", NO_EVENTS, ids=range(len(NO_EVENTS)))
def test_signed_but_no_event_is_400(api: ApiHarness, body: bytes) -> None:
    """A body that is not an object with an object `data` is 400 with a problem document."""
    problem = api.hook(body).problem(400, "invalid_request")
    assert "send a JSON object with an object `data`" in problem["detail"]


def test_ambiguous_bodies_are_acknowledged_and_ignored(api: ApiHarness) -> None:
    """A member twice, NaN, a number of 5,000 digits: 200, and no reading of it counts."""
    flow = Flow(api)
    whole = json.dumps(flow.event("delivered"))
    for odd in ('"x": NaN', '"x": ' + "1" * 5000, '"id": "a", "id": "b"', '"x": 1e999'):
        assert api.hook(whole.replace('"data": {', '"data": {' + odd + ", ", 1).encode()).status == 200
    assert flow.status in ("queued", "delivered")
    twice = whole.replace('"event_type":', '"event_type": "message.sent", "event_type":', 1)
    assert api.hook(twice.encode()).status == 200


def test_the_content_type_of_a_webhook_does_not_matter(api: ApiHarness) -> None:
    """What is proven is the bytes; the carrier may declare them as it likes."""
    for kind in ("", "text/plain", "application/json; charset=latin-1"):
        flow = Flow(api)
        assert flow.post(json.dumps(flow.event("delivered")).encode(), Content_Type=kind).status == 200
        assert flow.status == "delivered"


@pytest.mark.parametrize(
    ("text", "word", "blocked"),
    [
        ("STOP", "STOP", True),
        ("stop.", None, True),
        (" Stop ", None, True),
        ("opt out", None, True),
        ("REVOKE", None, True),
        ("\uff33\uff34\uff2f\uff30", None, True),
        ("please stop texting me", None, True),
        ("I will not stop here", None, False),
        ("123456", None, False),
        ("HELP", "HELP", False),
        ("", None, False),
        ("\ud800", None, False),
    ],
)
def test_the_ways_to_say_stop(api: ApiHarness, text: str, word: str | None, blocked: bool) -> None:
    """Any reasonable wording opts out at once, whatever case, width or punctuation; START opts in again."""
    number = api.number()
    event = {
        "id": "evt-1",
        "event_type": "message.received",
        "occurred_at": "2026-01-31T12:00:00Z",
        "payload": {
            "id": "m-1",
            "from": {"phone_number": number},
            "to": [{"phone_number": "+18445550001"}],
            "messaging_profile_id": PROFILE,
            "text": text,
            "autoresponse_type": word,
        },
    }
    assert api.hook({"data": event}).status == 200
    assert api.start(number).status == (403 if blocked else 201)
    api.opt_out(number, text="START")
    assert api.start(number).status in (201, 429)


def test_much_junk_is_one_line_in_the_record(api: ApiHarness) -> None:
    """300 unsigned webhooks at once: all 401, and the record grows by one event a second, not by 300."""
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.call("POST", "/webhooks/telnyx", b"{}", key=None), range(300)))
    assert {answer.status for answer in answers} == {401}
    assert 1 <= len(rejections(api)) <= 2 + time.monotonic() - began


FUZZ = settings(max_examples=100)
scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=12)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
payloads = st.recursive(
    st.dictionaries(members, values, max_size=5),
    lambda inner: st.dictionaries(members, inner | st.lists(inner, max_size=2), max_size=4),
    max_leaves=6,
)


@FUZZ
@given(
    event=st.sampled_from(
        ["message.sent", "message.finalized", "message.received", "message.read", "message.link_click", "x", None]
    ),
    event_id=st.text(max_size=8) | st.none(),
    payload=payloads | values,
    path=st.sampled_from(["", "/dlv_" + "a" * 32 + "-1", "/%C3%A9"]),
)
def test_signed_nonsense_is_200(
    api: ApiHarness, event: str | None, event_id: str | None, payload: Any, path: str
) -> None:
    """Whatever stands in a signed event with an object `data`, the answer is 200."""
    body = {"data": {"event_type": event, "id": event_id, "occurred_at": "2026-01-31T12:00:00Z", "payload": payload}}
    assert api.hook(body, path).status == 200
