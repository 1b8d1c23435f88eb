"""Genuine webhooks move their delivery once, in any order. Nothing unproven changes anything."""

import base64
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from nacl.signing import SigningKey

from .conftest import ApiHarness
from .webhook_events import Flow, finalized, rejections

STATUSES = ["sent", "delivered", "delivery_failed", "delivery_unconfirmed"]


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


@pytest.mark.parametrize("seconds", [-100_000, -302, 330, 100_000])
def test_old_and_future_events_are_400(api: ApiHarness, seconds: int) -> None:
    """A good signature more than 300 s off is 400 and changes nothing; the rejection is in the record."""
    flow = Flow(api)
    answer = api.hook(flow.event("delivered"), f"/{flow.delivery}", at=time.time() + seconds)
    answer.problem(400, "invalid_request")
    assert flow.status == "queued"
    assert rejections(api) == [{"reason": "stale"}]


@pytest.mark.parametrize("seconds", [-270, 299])
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


def test_the_path_is_not_trusted(api: ApiHarness) -> None:
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


def test_an_event_about_another_number_or_message_is_ignored(api: ApiHarness) -> None:
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
