"""Webhooks as an enemy and as a careless carrier would send them. Nothing unproven changes anything."""

import base64
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from .conftest import PROFILE, PUBLIC_URL, Answer, ApiHarness

STATUSES = ["sent", "delivered", "delivery_failed", "delivery_unconfirmed"]


def finalized(number: str, delivery: str | None, status: str, message: str = "msg-1", **more: object) -> dict[str, Any]:
    """A deliveryUpdate as the carrier writes it: our webhook URL of the message is in the signed body."""
    event = "message.sent" if status == "sent" else "message.finalized"
    url = None if delivery is None else f"{PUBLIC_URL}/webhooks/telnyx/{delivery}"
    errors = [{"code": "40008", "title": "Undeliverable"}] if status == "delivery_failed" else []
    payload = {
        "id": message,
        "record_type": "message",
        "direction": "outbound",
        "type": "SMS",
        "from": {"phone_number": "+17755550100"},
        "to": [{"phone_number": number, "status": status}],
        "messaging_profile_id": PROFILE,
        "webhook_url": url,
        "errors": errors,
    }
    data = {
        "id": f"evt-{secrets.token_hex(8)}",
        "event_type": event,
        "occurred_at": "2026-01-31T12:00:00.000+00:00",
        "record_type": "event",
        "payload": payload,
    }
    return {"data": {**data, **more}, "meta": {"attempt": 1}}


class Flow:
    """One verification with one delivery, still in our queue."""

    def __init__(self, api: ApiHarness, **members: object) -> None:
        self.api = api
        self.number = api.number()
        shown = api.start(self.number, **members).json
        self.id = shown["verification_id"]
        self.delivery = shown["deliveries"][0]["delivery_id"]

    def show(self) -> dict[str, Any]:
        """The verification now."""
        found: dict[str, Any] = self.api.call("GET", f"/verify/{self.id}").json
        return found

    @property
    def status(self) -> str:
        """The first delivery's status now."""
        return str(self.show()["deliveries"][0]["status"])

    def event(self, status: str, **more: Any) -> dict[str, Any]:
        """A genuine event about the delivery."""
        return finalized(self.number, self.delivery, status, **more)

    def post(self, body: object, **headers: str) -> Answer:
        """To the delivery's own path."""
        return self.api.hook(body, f"/{self.delivery}", at=None, **headers)


def rejections(api: ApiHarness) -> list[dict[str, Any]]:
    """The reasons in the record."""
    events = api.call("GET", "/audit/events?type=webhook.rejected").json["events"]
    return [event["detail"] for event in events]


def test_a_genuine_event_moves_its_delivery(api: ApiHarness) -> None:
    """200 with an empty body that nobody stores; the carrier's status and the time stand in the verification."""
    flow = Flow(api)
    answer = flow.post(flow.event("sent"))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("Cache-Control") == "no-store"
    assert flow.status == "sent"
    assert api.hook(flow.event("delivered")).status == 200
    shown = flow.show()
    assert (shown["deliveries"][0]["status"], shown["deliveries"][0]["carrier_status"]) == ("delivered", "delivered")
    assert [event["event"] for event in shown["timeline"]][-2:] == ["delivery.sent", "delivery.delivered"]


def test_unproven_events_change_nothing(api: ApiHarness) -> None:
    """401 for every missing, unparsable or wrong signature, in every spelling that a lax decoder would take."""
    flow = Flow(api)
    body = json.dumps(flow.event("delivered")).encode()
    stamp = str(int(time.time()))
    good = base64.b64encode(api.seed.sign(f"{stamp}|".encode() + body).signature).decode()
    raw = base64.b64decode(good)
    other_key = SigningKey.generate()
    signatures = [
        "",
        "AA!!",
        base64.b64encode(raw[:63]).decode(),
        base64.b64encode(raw + b"\0").decode(),
        base64.b64encode(bytes(64)).decode(),
        base64.b64encode(other_key.sign(f"{stamp}|".encode() + body).signature).decode(),
        base64.b64encode(api.seed.sign(body).signature).decode(),
        base64.b64encode(api.seed.sign(f"{stamp}.".encode() + body).signature).decode(),
        base64.urlsafe_b64encode(bytes(range(190, 254))).decode(),
        good.rstrip("="),
        good + "=",
        good[:-3] + ("B==" if good[-3] != "B" else "C=="),
        f" {good}",
        f"{good}\n",
        f"{good},{good}",
        good[:40] + " " + good[40:],
        f"v1,{good}",
        raw.hex(),
        "\u00e9" * 88,
        "=" * 88,
        "x" * 20_000,
    ]
    for signature in signatures:
        headers = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": signature}
        answer = api.call("POST", f"/webhooks/telnyx/{flow.delivery}", body, key=None, headers=headers)
        answer.problem(401, "unauthorized")
    for name in ("telnyx-timestamp", "telnyx-signature-ed25519"):
        answer = api.call("POST", "/webhooks/telnyx", body, key=None, headers={name: stamp if name == "t" else good})
        answer.problem(401, "unauthorized")
    api.call("POST", "/webhooks/telnyx", body).problem(401, "unauthorized")
    for odd in ("", "abc", "-1", "1e9", " " + stamp, stamp + " ", "+" + stamp, stamp + ".0", "9" * 40, "\u0661" * 10):
        flow.post(body, telnyx_timestamp=odd, telnyx_signature_ed25519=good).problem(401, "unauthorized")
    assert flow.status == "queued"
    assert {entry["reason"] for entry in rejections(api)} <= {"missing", "malformed", "bad_signature"}
    assert len(rejections(api)) >= 1


def test_every_byte_counts(api: ApiHarness) -> None:
    """A genuine signature over other bytes, or with another time, is 401."""
    flow = Flow(api)
    body = json.dumps(flow.event("sent")).encode()
    stamp = int(time.time())
    good = base64.b64encode(api.seed.sign(f"{stamp}|".encode() + body).signature).decode()
    for changed in (body + b" ", body.replace(b'"sent"', b'"delivered"'), b"", body[:-1]):
        sent = {"telnyx-timestamp": str(stamp), "telnyx-signature-ed25519": good}
        api.call("POST", "/webhooks/telnyx", changed, key=None, headers=sent).problem(401, "unauthorized")
    for other in (stamp + 1, stamp - 1):
        flow.post(body, telnyx_timestamp=str(other), telnyx_signature_ed25519=good).problem(401, "unauthorized")
    assert flow.status == "queued"


@pytest.mark.parametrize("seconds", [-100_000, -302, 302, 100_000])
def test_old_and_future_events_are_400(api: ApiHarness, seconds: int) -> None:
    """A good signature more than 300 s off is 400 and changes nothing; the rejection is in the record."""
    flow = Flow(api)
    answer = api.hook(flow.event("delivered"), f"/{flow.delivery}", at=time.time() + seconds)
    answer.problem(400, "invalid_request")
    assert flow.status == "queued"
    assert rejections(api) == [{"reason": "stale"}]


@pytest.mark.parametrize("seconds", [-295, 295])
def test_inside_the_tolerance_an_event_counts(api: ApiHarness, seconds: int) -> None:
    """Clocks may differ by up to 300 s."""
    flow = Flow(api)
    assert api.hook(flow.event("delivered"), at=time.time() + seconds).status == 200
    assert flow.status == "delivered"


def test_the_same_event_counts_once(api: ApiHarness) -> None:
    """100 times the same, 16 at once: one event in the timeline, 200 every time."""
    flow = Flow(api)
    event = flow.event("delivered")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: flow.post(event), range(100)))
    assert {answer.status for answer in answers} == {200}
    assert [entry["event"] for entry in flow.show()["timeline"]].count("delivery.delivered") == 1


@pytest.mark.parametrize("order", list(permutations(STATUSES[:3])), ids="-".join)
def test_order_does_not_matter(api: ApiHarness, order: tuple[str, ...]) -> None:
    """sent, delivered and failed in any order, each twice, end in delivered."""
    flow = Flow(api)
    for status in order:
        event = flow.event(status)
        for _ in range(2):
            assert flow.post(event).status == 200
    assert flow.status == "delivered"
    assert flow.show()["deliveries"][0]["error"] is None


def test_an_event_does_not_reopen_anything(api: ApiHarness) -> None:
    """delivered or failed after approval, cancellation or exhaustion moves the delivery and nothing else."""
    for status in ("delivered", "delivery_failed"):
        approved = Flow(api)
        assert api.check(approved.id, api.code(approved.id)).status == 200
        canceled = Flow(api)
        assert api.call("POST", f"/verify/{canceled.id}/cancel").status == 200
        for flow, ended in ((approved, "approved"), (canceled, "canceled")):
            assert flow.post(flow.event(status)).status == 200
            shown = flow.show()
            assert shown["status"] == ended
            assert shown["deliveries"][0]["status"] == ("failed" if status == "delivery_failed" else status)
            assert len(shown["deliveries"]) == 1


def test_a_failed_delivery_claims_the_next_sender_once(api: ApiHarness) -> None:
    """However often and in whatever order the failure is reported, there is one more delivery, by the backup."""
    flow = Flow(api)
    for _ in range(5):
        assert flow.post(flow.event("delivery_failed")).status == 200
        assert flow.post(flow.event("sent")).status == 200
    shown = flow.show()
    assert [delivery["sender"] for delivery in shown["deliveries"]] == ["pool", "backup"]
    assert shown["deliveries"][0]["status"] == "failed"
    assert shown["deliveries"][0]["error"] == {"code": "40008", "title": "Undeliverable"}
    assert [entry["event"] for entry in shown["timeline"]].count("delivery.fell_back") == 1


def test_the_path_is_not_believed(api: ApiHarness) -> None:
    """A genuine event posted to another delivery's path moves its own delivery or none, never the path's."""
    mine, other = Flow(api), Flow(api)
    event = mine.event("delivered")
    for _ in range(2):
        assert api.hook(event, f"/{other.delivery}").status == 200
    assert (mine.status, other.status) == ("delivered", "queued")
    # Of the same number, too: two purposes, two deliveries, one phone.
    login = Flow(api)
    bind = api.start(login.number, purpose="bind").json
    path = f"/{bind['deliveries'][0]['delivery_id']}"
    assert api.hook(login.event("delivery_failed"), path).status == 200
    assert login.status == "failed"
    shown = api.call("GET", f"/verify/{bind['verification_id']}").json
    assert [delivery["status"] for delivery in shown["deliveries"]] == ["queued"]
    # A body that names a delivery which does not exist is about that one, not about the path's.
    unknown = "dlv_" + "a" * 32 + "-1"
    assert api.hook(finalized(login.number, unknown, "delivered"), path).status == 200
    shown = api.call("GET", f"/verify/{bind['verification_id']}").json
    assert [delivery["status"] for delivery in shown["deliveries"]] == ["queued"]


def test_a_report_that_names_no_delivery_settles_none_by_its_path(api: ApiHarness) -> None:
    """A genuine report of another message to the same number: while our response is lost, it is no report of ours."""
    flow = Flow(api)
    for url in (None, "https://elsewhere.example/hook", "https://elsewhere.example/webhooks/telnyx/"):
        report = finalized(flow.number, None, "delivered", message=f"msg-{secrets.token_hex(4)}")
        report["data"]["payload"]["webhook_url"] = url
        assert flow.post(report).status == 200
        assert flow.status == "queued"
    # Known to be its message, it needs no name.
    assert flow.post(flow.event("sent", message="msg-a")).status == 200
    assert flow.post(finalized(flow.number, None, "delivered", message="msg-a")).status == 200
    assert flow.status == "delivered"


def test_an_event_about_another_number_or_message_is_nobodys(api: ApiHarness) -> None:
    """The recipient in the signed body has to be the delivery's, and so has the message once it is known."""
    flow = Flow(api)
    other_number = api.number()
    assert flow.post(finalized(other_number, flow.delivery, "delivered")).status == 200
    assert flow.status == "queued"
    assert flow.post(flow.event("sent", message="msg-a")).status == 200
    assert flow.post(flow.event("delivery_failed", message="msg-b")).status == 200
    assert flow.status == "sent"


def test_group_events_move_only_what_they_name(api: ApiHarness) -> None:
    """An event with several recipients, among them junk, moves the one delivery it is about."""
    flow = Flow(api)
    event = flow.event("delivered")
    event["data"]["payload"]["to"] = [None, {"phone_number": api.number(), "status": "delivery_failed"}, 7] + event[
        "data"
    ]["payload"]["to"]
    assert flow.post(event).status == 200
    assert flow.status == "delivered"


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
    api.hook(body).problem(400, "invalid_request")


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
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.call("POST", "/webhooks/telnyx", b"{}", key=None), range(300)))
    assert {answer.status for answer in answers} == {401}
    assert 1 <= len(rejections(api)) <= 10


FUZZ = settings(max_examples=100)
scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=12)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
MEMBERS = (
    "id to from status phone_number errors code title text messaging_profile_id webhook_url autoresponse_type url "
    "message_id time_clicked direction type record_type received_at"
)
members = st.sampled_from(MEMBERS.split())
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
