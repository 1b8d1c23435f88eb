"""Every answer and every event has the shape that the carrier's API description promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.sandbox import shapes
from tests.sandbox.conftest import BACKUP, PERSON, PROFILE, Receiver, chaos, eventually, long_code, reply
from tests.sandbox.shapes import check

TEMPLATE = {"type": "template", "template": {"template_id": "t"}}
SENDS = [
    ("/v2/messages", {"from": BACKUP, "to": PERSON, "text": "x"}, shapes.OUTBOUND),
    ("/v2/messages/long_code", {"from": BACKUP, "to": PERSON, "text": "я"}, shapes.OUTBOUND),
    (
        "/v2/messages/long_code",
        {"from": BACKUP, "to": PERSON, "media_urls": ["https://x.example/a.png"], "subject": "s"},
        shapes.OUTBOUND,
    ),
    ("/v2/messages/number_pool", {"messaging_profile_id": PROFILE, "to": PERSON, "text": "x"}, shapes.OUTBOUND),
    ("/v2/messages/short_code", {"from": "12345", "to": PERSON, "text": "x"}, shapes.OUTBOUND),
    (
        "/v2/messages/alphanumeric_sender_id",
        {"from": "Acme", "messaging_profile_id": PROFILE, "to": "+447700900123", "text": "x"},
        shapes.OUTBOUND,
    ),
    ("/v2/messages/group_mms", {"from": BACKUP, "to": [PERSON, "+14165550123"], "text": "x"}, shapes.OUTBOUND),
    ("/v2/messages/whatsapp", {"from": BACKUP, "to": PERSON, "whatsapp_message": TEMPLATE}, shapes.WHATSAPP),
]


@pytest.mark.parametrize(("path", "body", "shape"), SENDS)
def test_sends_look_ups_and_events(
    http: httpx.Client, receiver: Receiver, path: str, body: dict[str, object], shape: object
) -> None:
    """Each way of sending answers its shape, before and after delivery, and its events have theirs."""
    sent = http.post(path, json=body).json()
    check(sent, {"data": shape})
    eventually(lambda: receiver.of("message.finalized"))
    check(http.get(f"/v2/messages/{sent['data']['id']}").json(), {"data": shape})
    for post in receiver.posts:
        check(post.json, shapes.EVENT)


def test_failures_and_replies(http: httpx.Client, receiver: Receiver) -> None:
    """Failed messages, inbound messages and their events have their shapes."""
    chaos(http, delivery={"outcome": "delivery_failed", "delay_ms": 0})
    sent = long_code(http).json()["data"]["id"]
    inbound = reply(http, "STOP").json()["id"]
    eventually(lambda: len(receiver.posts) == 3)
    for post in receiver.posts:
        check(post.json, shapes.EVENT)
    check(http.get(f"/v2/messages/{sent}").json(), {"data": shapes.OUTBOUND})
    check(http.get(f"/v2/messages/{inbound}").json(), {"data": shapes.INBOUND})


def test_schedule_and_cancel(http: httpx.Client) -> None:
    """A scheduled message is wrapped in data, a cancelled one is bare."""
    due = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    body = {"from": BACKUP, "to": PERSON, "text": "x", "send_at": due}
    scheduled = http.post("/v2/messages/schedule", json=body).json()
    check(scheduled, {"data": shapes.OUTBOUND})
    check(http.delete(f"/v2/messages/{scheduled['data']['id']}").json(), shapes.OUTBOUND)


def test_lists_and_orders(http: httpx.Client) -> None:
    """Listings, single numbers, updates and bulk orders have their shapes."""
    reply(http, "STOP")
    check(http.get("/v2/messaging_optouts").json(), {"data": [shapes.OPTOUT], "meta": shapes.META})
    check(http.get("/v2/phone_numbers/messaging").json(), {"data": [shapes.NUMBER], "meta": shapes.META})
    check(http.get("/v2/mobile_phone_numbers/messaging").json(), {"data": [shapes.MOBILE], "meta": shapes.META})
    check(http.get(f"/v2/phone_numbers/{BACKUP}/messaging").json(), {"data": shapes.NUMBER})
    changed = http.patch(f"/v2/phone_numbers/{BACKUP}/messaging", json={"tags": ["x"]})
    check(changed.json(), {"data": shapes.NUMBER})
    order = {"messaging_profile_id": PROFILE, "numbers": [BACKUP]}
    made = http.post("/v2/messaging_numbers_bulk_updates", json=order).json()
    check(made, {"data": shapes.BULK})
    found = http.get(f"/v2/messaging_numbers_bulk_updates/{made['data']['order_id']}").json()
    check(found, {"data": shapes.BULK})


def test_errors(http: httpx.Client) -> None:
    """Errors are envelopes; where the description has a bare error they are that as well."""
    for answer in (
        long_code(http, to="x"),
        http.post("/v2/messages", content=b"{"),
        http.get("/v2/nowhere"),
        http.get("/v2/messages/x"),
        http.put("/v2/messages"),
        http.get("/v2/messages", headers={"Authorization": ""}),
    ):
        check(answer.json(), shapes.ERRORS)
    for answer in (
        http.get("/v2/messaging_optouts?page[size]=0"),
        http.get("/v2/messaging_optouts", headers={"Authorization": ""}),
        http.delete("/v2/messages/00000000-0000-4000-8000-000000000000"),
    ):
        check(answer.json(), shapes.ERRORS | shapes.ERROR)
