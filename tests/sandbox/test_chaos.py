"""Misbehaviour on request: the settings, and every mode over a real socket."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from otp_service.sandbox.server import SandboxServer
from tests.sandbox.conftest import (
    BACKUP,
    KEY,
    PERSON,
    PROFILE,
    Receiver,
    chaos,
    code_of,
    eventually,
    inbox,
    journal,
    long_code,
    pool,
    reply,
)

DEFAULTS = {
    "send": {"mode": "ok", "latency_ms": 0, "rate": 1.0},
    "delivery": {"outcome": "delivered", "error_code": "40008", "delay_ms": 50},
    "webhooks": {"duplicate": 1, "reorder": False, "early": False, "forge_rate": 0.0, "drop_rate": 0.0},
    "wait_seconds": 0,
}


# -- settings -----------------------------------------------------------------------------------------------


def test_defaults(api: httpx.Client) -> None:
    """Unset, the carrier behaves, and says so."""
    assert api.get("/sandbox/chaos").json() | {"rates": None, "senders": None} == {
        **DEFAULTS,
        "rates": None,
        "senders": None,
    }


def test_put_merges(api: httpx.Client) -> None:
    """A PUT changes what it names and leaves the rest, within parts and within overrides."""
    chaos(api, send={"mode": "slow"}, senders={BACKUP: {"send": {"mode": "http_500"}}})
    chaos(api, send={"latency_ms": 7}, wait_seconds=1.5, senders={BACKUP: {"delivery": {"delay_ms": 0}}})
    now = api.get("/sandbox/chaos").json()
    assert now["send"] == {"mode": "slow", "latency_ms": 7, "rate": 1.0}
    assert now["wait_seconds"] == 1.5
    assert now["senders"] == {BACKUP: {"send": {"mode": "http_500"}, "delivery": {"delay_ms": 0}}}
    chaos(api, senders={BACKUP: None})
    assert api.get("/sandbox/chaos").json()["senders"] == {}


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"send": {"mode": "sometimes"}}, "send.mode"),
        ({"send": {"latency_ms": -1}}, "send.latency_ms"),
        ({"send": {"latency_ms": 1.5}}, "send.latency_ms"),
        ({"send": {"rate": 1.1}}, "send.rate"),
        ({"send": {"rate": True}}, "send.rate"),
        ({"send": {"mood": "bad"}}, "send.mood"),
        ({"send": "ok"}, "send"),
        ({"delivery": {"outcome": "lost"}}, "delivery.outcome"),
        ({"delivery": {"error_code": 40008}}, "delivery.error_code"),
        ({"webhooks": {"duplicate": 0}}, "webhooks.duplicate"),
        ({"webhooks": {"reorder": 1}}, "webhooks.reorder"),
        ({"webhooks": {"drop_rate": "all"}}, "webhooks.drop_rate"),
        ({"wait_seconds": -1}, "wait_seconds"),
        ({"weather": "fine"}, "weather"),
        ({"senders": []}, "senders"),
        ({"senders": {BACKUP: {"send": {"mode": 5}}}}, f"senders.{BACKUP}.send.mode"),
        ({"senders": {BACKUP: {"senders": {}}}}, f"senders.{BACKUP}.senders"),
    ],
)
def test_unusable_settings_are_refused_by_name(api: httpx.Client, settings: dict[str, Any], key: str) -> None:
    """A setting that cannot be used is a 400 that names its key, and nothing changes."""
    before = api.get("/sandbox/chaos").json()
    answer = api.put("/sandbox/chaos", json={"delivery": {"delay_ms": 1}, **settings})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(key + " ")
    assert api.get("/sandbox/chaos").json() == before


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"x"', b"[" * 9000, b"\xff", b'{"wait_seconds": NaN}'])
def test_a_body_that_is_no_object_is_refused(api: httpx.Client, body: bytes) -> None:
    """Anything but a JSON object with usable values is a 400 with one sentence."""
    answer = api.put("/sandbox/chaos", content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


# -- sending ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "status", "code"), [("http_500", 500, "10007"), ("http_429", 429, "10011")])
def test_refusing_modes_accept_nothing(
    http: httpx.Client, receiver: Receiver, mode: str, status: int, code: str
) -> None:
    """http_500 and http_429 answer the envelope; nothing arrives, no webhook is sent, the key stays free."""
    chaos(http, send={"mode": mode})
    answer = long_code(http, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 429)
    chaos(http, send={"mode": "ok"})
    accepted = long_code(http, headers={"Idempotency-Key": "k"})
    assert "Idempotent-Replayed" not in accepted.headers
    eventually(lambda: len(receiver.posts) == 2)
    assert [message["id"] for message in inbox(http)] == [accepted.json()["data"]["id"]]


@pytest.mark.parametrize("mode", ["timeout", "reset_after_request", "half_body", "slow"])
def test_lost_answers_are_accepted_once(http: httpx.Client, receiver: Receiver, mode: str) -> None:
    """Whatever way the answer is lost, the message arrives once, and a replay gets the stored answer."""
    chaos(http, send={"mode": mode, "latency_ms": 2_500})
    http.timeout = httpx.Timeout(20, read=0.4 if mode in ("timeout", "slow") else 20)
    with pytest.raises(httpx.TransportError) as lost:
        long_code(http, headers={"Idempotency-Key": "k"}, text="once")
    http.timeout = httpx.Timeout(20)
    assert (
        type(lost.value)
        is {
            "timeout": httpx.ReadTimeout,
            "slow": httpx.ReadTimeout,
            "reset_after_request": httpx.ReadError,
            "half_body": httpx.RemoteProtocolError,
        }[mode]
    )
    (message,) = eventually(lambda: inbox(http))

    chaos(http, send={"mode": "ok"})
    replay = eventually(lambda: _unless_in_flight(http))
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert replay.json()["data"]["id"] == message["id"]
    eventually(lambda: receiver.of("message.finalized"))
    assert len(inbox(http)) == 1


def _unless_in_flight(http: httpx.Client) -> httpx.Response | None:
    answer = long_code(http, headers={"Idempotency-Key": "k"}, text="once")
    return answer if answer.status_code == 200 else None


def test_a_reset_is_a_reset(http: httpx.Client) -> None:
    """reset_after_request ends the connection with RST, not with a polite end of stream."""
    chaos(http, send={"mode": "reset_after_request"})
    with pytest.raises(httpx.ReadError, match="reset"):
        long_code(http)


def test_half_a_body_promises_more(http: httpx.Client) -> None:
    """half_body sends a 200 and a Content-Length beyond what follows."""
    chaos(http, send={"mode": "half_body"})
    request = http.build_request("POST", "/v2/messages/long_code", json={"from": BACKUP, "to": PERSON, "text": "x"})
    answer = http.send(request, stream=True)
    got: list[bytes] = []
    with pytest.raises(httpx.RemoteProtocolError):
        got.extend(answer.iter_raw())
    assert answer.status_code == 200
    assert 0 < len(b"".join(got)) < int(answer.headers["content-length"])


def test_slow_answers_in_its_time(sandbox: SandboxServer) -> None:
    """slow answers 200 after latency_ms; the message does not wait; the same key in the meantime is a 409."""
    with httpx.Client(base_url=sandbox.url, headers=KEY, trust_env=False, verify=False) as patient:
        chaos(patient, send={"mode": "slow", "latency_ms": 600})
        began = time.monotonic()
        answer = long_code(patient)
        assert answer.status_code == 200
        assert time.monotonic() - began >= 0.6
        eventually(lambda: len(inbox(patient)) == 1)


def test_timeout_says_nothing_until_the_sandbox_lets_go(sandbox: SandboxServer) -> None:
    """timeout keeps the connection without a byte; a reset of the sandbox ends the wait by closing it."""
    with httpx.Client(base_url=sandbox.url, headers=KEY, trust_env=False, verify=False, timeout=60) as patient:
        chaos(patient, send={"mode": "timeout"})
        with httpx.Client(base_url=sandbox.url, trust_env=False) as other, ThreadPoolExecutor(1) as one:
            waiting = one.submit(long_code, patient)
            eventually(lambda: inbox(other))
            assert not waiting.done()
            assert journal(other)[0]["status"] is None
            other.post("/sandbox/reset")
            with pytest.raises(httpx.RemoteProtocolError):
                waiting.result(timeout=30)


def test_the_journal_lists_the_responses_as_sent(http: httpx.Client) -> None:
    """Swallowed answers have no status and no time of answer; half a body has the status that went out."""
    for mode in ("reset_after_request", "half_body", "http_500"):
        chaos(http, send={"mode": mode})
        with contextlib.suppress(httpx.TransportError):
            long_code(http)
    listed = [(entry["status"], entry["answered_at"] is None) for entry in journal(http)]
    assert listed == [(None, True), (200, False), (500, False)]


def test_replays_are_hit_too(http: httpx.Client) -> None:
    """Chaos does not spare a replay: what is stored can be lost again."""
    long_code(http, headers={"Idempotency-Key": "k"})
    chaos(http, send={"mode": "http_500"})
    assert long_code(http, headers={"Idempotency-Key": "k"}).status_code == 500
    chaos(http, send={"mode": "reset_after_request"})
    with pytest.raises(httpx.ReadError):
        long_code(http, headers={"Idempotency-Key": "k"})
    chaos(http, send={"mode": "ok"})
    assert long_code(http, headers={"Idempotency-Key": "k"}).headers["Idempotent-Replayed"] == "true"
    eventually(lambda: inbox(http))
    assert len(inbox(http)) == 1


def test_rate_is_a_share(api: httpx.Client) -> None:
    """Rate 0 hits nothing, rate 0.5 about half."""
    chaos(api, send={"mode": "http_500", "rate": 0})
    assert {long_code(api).status_code for _ in range(20)} == {200}
    chaos(api, send={"rate": 0.5})
    hits = sum(long_code(api).status_code == 500 for _ in range(200))
    assert 50 < hits < 150


def test_a_sender_can_have_its_own_weather(api: httpx.Client) -> None:
    """An override holds for its sender alone, also for a number that the pool chose."""
    chosen = pool(api).json()["data"]["from"]["phone_number"]
    chaos(api, senders={chosen: {"send": {"mode": "http_500"}}})
    assert pool(api).status_code == 500
    assert long_code(api).status_code == 200
    chaos(api, send={"mode": "http_429"}, senders={chosen: {"send": {"mode": "ok"}}})
    assert pool(api).status_code == 200
    assert long_code(api).status_code == 429


def test_without_a_socket_a_lost_answer_is_a_504(api: httpx.Client) -> None:
    """In-process there is nothing to break: 504, and the message is accepted all the same."""
    chaos(api, send={"mode": "timeout"})
    answer = long_code(api, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, code_of(answer)) == (504, "10008")
    chaos(api, send={"mode": "ok"})
    assert long_code(api, headers={"Idempotency-Key": "k"}).headers["Idempotent-Replayed"] == "true"


def test_only_sends_are_hit(api: httpx.Client) -> None:
    """Look-ups and listings are spared by the send modes."""
    sent = long_code(api).json()["data"]["id"]
    chaos(api, send={"mode": "http_500"})
    assert api.get(f"/v2/messages/{sent}").status_code == 200
    assert api.get("/v2/messaging_optouts").status_code == 200


# -- delivery -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["delivered", "delivery_unconfirmed", "delivery_failed", "sending_failed"])
def test_outcomes(http: httpx.Client, receiver: Receiver, outcome: str) -> None:
    """The final status is as set; failures carry the error code and do not ring; no hand-over, no message.sent."""
    chaos(http, delivery={"outcome": outcome, "error_code": "40001", "delay_ms": 0})
    sent = long_code(http).json()["data"]["id"]
    (final,) = eventually(lambda: receiver.of("message.finalized"))
    failed = outcome.endswith("failed")
    assert final.status == outcome
    assert [error["code"] for error in final.data["payload"]["errors"]] == (["40001"] if failed else [])
    assert len(receiver.of("message.sent")) == (0 if outcome == "sending_failed" else 1)
    assert [message["status"] for message in inbox(http)] == ([] if failed else [outcome])
    assert http.get(f"/v2/messages/{sent}").json()["data"]["to"][0]["status"] == outcome


def test_outcome_none_delivers_without_a_final_report(http: httpx.Client, receiver: Receiver) -> None:
    """none: the text arrives, the carrier never says so."""
    chaos(http, delivery={"outcome": "none", "delay_ms": 0}, webhooks={"reorder": True})
    sent = long_code(http).json()["data"]["id"]
    eventually(lambda: inbox(http))
    eventually(lambda: receiver.of("message.sent"))
    assert http.get(f"/v2/messages/{sent}").json()["data"]["to"][0]["status"] == "sent"
    assert len(receiver.posts) == 1


def test_delay_and_wait_hold_the_message(http: httpx.Client, receiver: Receiver) -> None:
    """wait_seconds is reported and waited; delay_ms is between sent and final."""
    chaos(http, delivery={"delay_ms": 200}, wait_seconds=0.2)
    began = time.monotonic()
    assert long_code(http).json()["data"]["wait_seconds"] == 0.2
    eventually(lambda: inbox(http))
    assert time.monotonic() - began >= 0.4
    eventually(lambda: len(receiver.posts) == 2)
    assert receiver.posts[0].at - began >= 0.2
    # Between the events, whenever the posts come through.
    sent, final = (datetime.fromisoformat(post.data["occurred_at"]).timestamp() for post in receiver.posts)
    assert final - sent >= 0.199


# -- webhooks -----------------------------------------------------------------------------------------------


def test_duplicates(http: httpx.Client, receiver: Receiver) -> None:
    """Each event is posted n times under one id."""
    chaos(http, webhooks={"duplicate": 3})
    long_code(http)
    eventually(lambda: len(receiver.posts) == 6)
    assert len({post.data["id"] for post in receiver.posts}) == 2


def test_reorder(http: httpx.Client, receiver: Receiver) -> None:
    """finalized is posted before sent, and sent still reports what was true when it happened."""
    chaos(http, webhooks={"reorder": True})
    long_code(http)
    eventually(lambda: len(receiver.posts) == 2)
    assert [post.type for post in receiver.posts] == ["message.finalized", "message.sent"]
    assert receiver.posts[1].status == "sent"
    assert receiver.posts[1].data["occurred_at"] <= receiver.posts[0].data["occurred_at"]


@pytest.mark.parametrize("reorder", [False, True])
def test_early(http: httpx.Client, receiver: Receiver, reorder: bool) -> None:
    """Both events have been posted when the send is answered."""
    chaos(http, webhooks={"early": True, "reorder": reorder}, delivery={"delay_ms": 5000})
    sent = pool(http).json()["data"]
    types = [post.type for post in receiver.posts]
    assert types == (["message.finalized", "message.sent"] if reorder else ["message.sent", "message.finalized"])
    assert all(post.data["payload"]["id"] == sent["id"] for post in receiver.posts)


def test_drops(http: httpx.Client, receiver: Receiver) -> None:
    """drop_rate 1 keeps every event to itself, the person's replies included; the phone rings all the same."""
    chaos(http, webhooks={"drop_rate": 1.0})
    long_code(http)
    eventually(lambda: inbox(http))
    reply(http, "hello")
    chaos(http, webhooks={"drop_rate": 0.0})
    reply(http, "last")
    (only,) = eventually(lambda: list(receiver.posts))
    assert only.data["payload"]["text"] == "last"


def test_forgeries_come_along_and_do_not_verify(http: httpx.Client, sandbox: SandboxServer, receiver: Receiver) -> None:
    """A forgery accompanies the true event with its id, the opposite outcome and a signature of another key."""
    chaos(http, webhooks={"forge_rate": 1.0})
    long_code(http)
    eventually(lambda: len(receiver.posts) == 4)
    true = [post for post in receiver.posts if post.is_signed_by(sandbox.public_key_b64)]
    forged = [post for post in receiver.posts if not post.is_signed_by(sandbox.public_key_b64)]
    assert sorted(post.status for post in true) == ["delivered", "sent"]
    assert {post.status for post in forged} == {"delivery_failed"}
    assert {post.data["id"] for post in true} == {post.data["id"] for post in forged}
    receiver.posts.clear()

    chaos(http, delivery={"outcome": "delivery_failed"})
    long_code(http)
    eventually(lambda: len(receiver.posts) == 4)
    forged = [post for post in receiver.posts if not post.is_signed_by(sandbox.public_key_b64)]
    assert {post.status for post in forged} == {"delivered"}
    receiver.posts.clear()

    reply(http, "STOP")
    eventually(lambda: len(receiver.posts) == 2)
    words = {post.is_signed_by(sandbox.public_key_b64): post.data["payload"]["text"] for post in receiver.posts}
    assert words == {True: "STOP", False: "START"}


def test_enforced_rates_hold_messages_and_fill_queues(api: httpx.Client) -> None:
    """With rates enforced a sender above its rate queues, reports the wait, and is refused when the queue is full."""
    chaos(api, rates={"enforce": True})
    waits = [long_code(api).json()["data"]["wait_seconds"] for _ in range(3)]
    assert waits == [0.0, 0.05, 0.1]
    first = pool(api).json()["data"]
    assert first["wait_seconds"] == 0.0
    assert pool(api).json()["data"]["wait_seconds"] == 10.0
    body = {"messaging_profile_id": PROFILE, "to": PERSON, "text": "a" * 1530}
    refused = None
    for _ in range(200):
        answer = api.post("/v2/messages/number_pool", json=body)
        if answer.status_code != 200:
            refused = answer
            break
    assert refused is not None
    assert code_of(refused) == "40318"
