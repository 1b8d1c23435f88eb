"""The usual way of a message: accepted, shown on the phone, reported, and listed."""

from __future__ import annotations

import json

import httpx
import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from otp_service.sandbox import seeds
from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.server import SandboxServer
from tests.sandbox.conftest import BACKUP, KEY, PERSON, PROFILE, Receiver, eventually, inbox, journal, long_code, pool


def test_a_send_reaches_the_phone(http: httpx.Client) -> None:
    """An accepted text is on the handset under the carrier's id, with text, sender and status."""
    sent = long_code(http).json()["data"]
    (message,) = eventually(lambda: inbox(http))
    assert message["id"] == sent["id"]
    assert (message["from"], message["text"], message["status"]) == (BACKUP, "Your code is 123456", "delivered")
    assert message["received_at"].endswith("Z")


def test_the_answer_is_the_carriers(http: httpx.Client) -> None:
    """The answer is 200 with the queued message in `data`."""
    answer = long_code(http, text="Hi 😀", webhook_url="https://otp.example/hooks/1")
    message = answer.json()["data"]
    assert answer.status_code == 200
    assert message["to"] == [
        {"phone_number": PERSON, "status": "queued", "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"}
    ]
    assert message["from"]["phone_number"] == BACKUP
    assert (message["encoding"], message["parts"], message["num_chars"]) == ("UCS-2", 1, 4)
    assert message["webhook_url"] == "https://otp.example/hooks/1"
    assert message["wait_seconds"] == 0.0
    assert message["messaging_profile_id"] == PROFILE


def test_pool_sends_pick_a_pool_number_and_stick_to_it(http: httpx.Client) -> None:
    """One recipient always gets the same number of the pool; others get theirs in turn."""
    first = [pool(http).json()["data"]["from"]["phone_number"] for _ in range(3)]
    assert len(set(first)) == 1
    others = {pool(http, to=f"+131255501{i:02d}").json()["data"]["from"]["phone_number"] for i in range(30)}
    assert others == set(seeds.POOL)
    assert BACKUP not in others


def test_events_are_posted_signed_and_in_order(http: httpx.Client, sandbox: SandboxServer, receiver: Receiver) -> None:
    """message.sent, then message.finalized, both under the account's key, with the message's own state."""
    sent = long_code(http).json()["data"]
    eventually(lambda: len(receiver.posts) == 2)
    first, second = receiver.posts
    assert (first.type, first.status) == ("message.sent", "sent")
    assert (second.type, second.status) == ("message.finalized", "delivered")
    for post in (first, second):
        assert post.is_signed_by(sandbox.public_key_b64)
        assert post.data["payload"]["id"] == sent["id"]
        assert post.data["record_type"] == "event"
        assert post.json["meta"] == {"attempt": 1, "delivered_to": receiver.url + "/profile"}
        assert post.headers["user-agent"] == "telnyx-webhooks"
        assert post.headers["content-type"] == "application/json"
    assert first.data["id"] != second.data["id"]
    assert first.data["payload"]["completed_at"] is None
    assert second.data["payload"]["completed_at"] is not None


def test_nothing_happens_before_the_answer_has_left(receiver: Receiver) -> None:
    """Until then the message is queued, and no event is posted, unless the settings say `early`."""
    carrier = Carrier(webhook_url=receiver.url)
    app = create_app(carrier)
    sms = {"from": BACKUP, "to": PERSON, "text": "x"}
    asked = EnvironBuilder("/v2/messages/long_code", method="POST", json=sms, headers=list(KEY.items()))
    body, statuses, _ = run_wsgi_app(app, asked.get_environ())
    answer = b"".join(body)
    message = json.loads(answer)["data"]
    assert statuses.startswith("200")
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://sandbox", headers=KEY) as api:
        assert api.get(f"/v2/messages/{message['id']}").json()["data"]["to"][0]["status"] == "queued"
        assert receiver.posts == []
        # The server closes the answer when it has sent all of it.
        body.close()  # type: ignore[attr-defined]
        eventually(lambda: [post.type for post in receiver.posts] == ["message.sent", "message.finalized"])
    carrier.close()


def test_a_message_can_be_looked_up(http: httpx.Client) -> None:
    """GET shows the state as it is now."""
    sent = long_code(http).json()["data"]
    found = eventually(lambda: _show(http, sent["id"], "delivered"))
    assert found["completed_at"] is not None
    assert found["sent_at"] is not None
    assert found["text"] == "Your code is 123456"


def _show(http: httpx.Client, message_id: str, status: str) -> dict[str, str | None]:
    message: dict[str, str | None] = http.get(f"/v2/messages/{message_id}").json()["data"]
    return message if message["to"][0]["status"] == status else {}  # type: ignore[index]


def test_the_journal_has_every_request_without_the_key(http: httpx.Client) -> None:
    """Requests to /v2 are listed oldest first, as they came and were answered, the key left out."""
    long_code(http, headers={"Idempotency-Key": "k1"})
    http.post("/v2/messages", content=b"not json")
    http.get("/v2/messaging_optouts?page[size]=5")
    http.get("/v2/nowhere", headers={"Authorization": ""})
    http.get("/sandbox/healthz")
    first, second, third, fourth = journal(http)
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v2/messages/long_code", 200)
    assert first["headers"]["Idempotency-Key"] == "k1"
    assert first["body"] == {"from": BACKUP, "to": PERSON, "text": "Your code is 123456"}
    assert first["received_at"] <= first["answered_at"]
    assert (second["body"], second["status"]) == ("not json", 400)
    assert (third["path"], third["query"], third["body"]) == ("/v2/messaging_optouts", "page[size]=5", None)
    assert fourth["status"] == 401
    assert not any(name.lower() == "authorization" for entry in journal(http) for name in entry["headers"])


def test_reset_forgets_everything(http: httpx.Client) -> None:
    """After a reset nothing is known: no message, no phone, no request, no key, no block, no chaos."""
    sent = long_code(http, headers={"Idempotency-Key": "k1"}).json()["data"]
    eventually(lambda: inbox(http))
    http.post(f"/sandbox/phones/{PERSON}/messages", json={"to": BACKUP, "text": "STOP"})
    http.put("/sandbox/chaos", json={"delivery": {"outcome": "none"}, "senders": {BACKUP: {"wait_seconds": 9}}})
    number = http.get(f"/v2/phone_numbers/{BACKUP}/messaging").json()["data"]
    http.patch(f"/v2/phone_numbers/{number['id']}/messaging", json={"messaging_profile_id": "", "tags": ["x"]})

    assert http.post("/sandbox/reset").status_code == 200

    assert inbox(http) == []
    assert journal(http) == []
    assert http.get(f"/v2/messages/{sent['id']}").status_code == 404
    assert http.get("/v2/messaging_optouts").json()["data"] == []
    assert http.get("/sandbox/chaos").json()["delivery"]["outcome"] == "delivered"
    assert http.get("/sandbox/chaos").json()["senders"] == {}
    again = long_code(http, headers={"Idempotency-Key": "k1"})
    assert again.status_code == 200
    assert again.json()["data"]["id"] != sent["id"]
    assert http.get(f"/v2/phone_numbers/{number['id']}/messaging").json()["data"]["tags"] == []


@pytest.mark.parametrize("path", ["/sandbox/phones/+13125550199/messages", "/sandbox/phones/%2B13125550199/messages"])
def test_phones_are_found_with_and_without_percent(http: httpx.Client, path: str) -> None:
    """A plus sign in the path may be percent-encoded or not."""
    long_code(http)
    assert eventually(lambda: http.get(path).json()["messages"])


def test_health(http: httpx.Client) -> None:
    """GET /sandbox/healthz says ok, without a key."""
    answer = httpx.get(str(http.base_url) + "/sandbox/healthz", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_keep_alive(sandbox: SandboxServer) -> None:
    """Many requests, bodies included, go over one connection."""
    with httpx.Client(base_url=sandbox.url, headers=KEY, trust_env=False, verify=False) as client:
        streams = set()
        for _ in range(3):
            with client.stream(
                "POST", "/v2/messages/long_code", json={"from": BACKUP, "to": PERSON, "text": "x"}
            ) as it:
                it.read()
                streams.add(it.extensions["network_stream"].get_extra_info("client_addr"))
        assert len(streams) == 1
