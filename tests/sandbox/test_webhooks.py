"""Where events go, how often, and when to give up."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from unittest import mock

import httpx
import pytest

from otp_service.sandbox import webhooks
from otp_service.sandbox.server import SandboxServer
from otp_service.sandbox.webhooks import THREADS, is_web_url
from tests.sandbox.conftest import KEY, PERSON, Receiver, chaos, eventually, inbox, long_code, reply


def _paths(receiver: Receiver, event_type: str) -> list[str]:
    return [post.path for post in receiver.of(event_type)]


def test_the_messages_own_url_comes_first(http: httpx.Client, receiver: Receiver) -> None:
    """A URL on the message takes its events; the profile's gets nothing while it works."""
    long_code(http, webhook_url=receiver.url + "/own/dlv_1?x=1")
    eventually(lambda: len(receiver.posts) == 2)
    assert {post.path for post in receiver.posts} == {"/own/dlv_1?x=1"}
    assert receiver.posts[0].json["meta"]["delivered_to"] == receiver.url + "/own/dlv_1?x=1"
    assert receiver.posts[0].data["payload"]["webhook_url"] == receiver.url + "/own/dlv_1?x=1"


def test_failover_after_three_attempts_each(http: httpx.Client, receiver: Receiver) -> None:
    """Own URL, failover URL, profile: three attempts each, one event id, attempts counted by URL."""
    receiver.answer = lambda post: 200 if post.path == "/profile" else 500
    chaos(http, delivery={"outcome": "none"})
    long_code(http, webhook_url=receiver.url + "/own", webhook_failover_url=receiver.url + "/failover")
    eventually(lambda: len(receiver.posts) == 7)
    assert _paths(receiver, "message.sent") == ["/own"] * 3 + ["/failover"] * 3 + ["/profile"]
    assert [post.json["meta"]["attempt"] for post in receiver.posts] == [1, 2, 3, 1, 2, 3, 1]
    assert len({post.data["id"] for post in receiver.posts}) == 1


def test_profile_urls_can_be_declined(http: httpx.Client, receiver: Receiver) -> None:
    """Without use_profile_webhooks only the message's own URLs are tried; with none, no webhook is sent."""
    long_code(http, use_profile_webhooks=False)
    eventually(lambda: inbox(http))
    long_code(http, use_profile_webhooks=False, webhook_url=receiver.url + "/own")
    eventually(lambda: len(receiver.posts) == 2)
    assert {post.path for post in receiver.posts} == {"/own"}


@pytest.mark.parametrize("status", [302, 400, 404, 503])
def test_only_2xx_is_success(http: httpx.Client, receiver: Receiver, status: int) -> None:
    """Any other answer is tried again, signed anew; redirects are not followed."""
    receiver.answer = lambda post: status if post.json["meta"]["attempt"] == 1 else 204
    reply(http, "hi")
    eventually(lambda: len(receiver.posts) == 2)
    assert [post.json["meta"]["attempt"] for post in receiver.posts] == [1, 2]
    assert {post.path for post in receiver.posts} == {"/profile"}


def test_retries_verify(http: httpx.Client, sandbox: SandboxServer, receiver: Receiver) -> None:
    """Every attempt carries a signature of its own bytes."""
    receiver.answer = lambda post: 500 if post.json["meta"]["attempt"] < 3 else 200
    reply(http, "hi")
    eventually(lambda: len(receiver.posts) == 3)
    assert all(post.is_signed_by(sandbox.public_key_b64) for post in receiver.posts)
    assert len({post.headers["telnyx-signature-ed25519"] for post in receiver.posts}) == 3


def test_a_refused_connection_is_tried_again(receiver: Receiver) -> None:
    """Nobody listening is a failed attempt like any other."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with SandboxServer(webhook_url=receiver.url + "/profile") as server, _client(server) as http:
            chaos(http, delivery={"outcome": "none"})
            long_code(http, webhook_url=dead)
            eventually(lambda: _paths(receiver, "message.sent") == ["/profile"])


def test_a_silent_receiver_costs_two_seconds(http: httpx.Client, receiver: Receiver) -> None:
    """An answer that does not come within two seconds is a failed attempt."""
    receiver.answering.clear()
    reply(http, "hi")
    first = eventually(lambda: receiver.posts[:1])[0]
    second = eventually(lambda: receiver.posts[1:2])[0]
    assert second.json["meta"]["attempt"] == 2
    # By the receiver's clock, which begins a little later. Its answer would come after a minute.
    assert second.at - first.at >= 1.5


def test_reset_drops_what_is_pending(http: httpx.Client, receiver: Receiver) -> None:
    """After a reset neither a retry nor an event of an old message is posted."""
    receiver.answer = lambda post: 500 if PERSON in post.body.decode() else 200
    # Until then the first event waits for its answer, so that no other post of it is on its way at the reset.
    receiver.answering.clear()
    chaos(http, delivery={"delay_ms": 200})
    long_code(http)
    eventually(lambda: receiver.of("message.sent"))
    http.post("/sandbox/reset")
    receiver.posts.clear()
    receiver.answering.set()
    chaos(http, delivery={"delay_ms": 600})
    long_code(http, to="+13125550123")
    eventually(lambda: receiver.of("message.finalized"))
    assert {post.data["payload"]["to"][0]["phone_number"] for post in receiver.posts} == {"+13125550123"}
    assert inbox(http, PERSON) == []


def test_the_environments_proxies_are_not_used(receiver: Receiver) -> None:
    """Webhooks go straight to their URL whatever HTTP_PROXY says."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
    with (
        mock.patch.dict(os.environ, nowhere),
        SandboxServer(webhook_url=receiver.url + "/profile") as server,
        _client(server) as http,
    ):
        reply(http, "hi")
        eventually(lambda: receiver.of("message.received"))


def test_a_stuck_receiver_does_not_stop_the_others(
    http: httpx.Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one receiver hangs, another one's events come through."""
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 120.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        stuck = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for _ in range(5):
            long_code(http, webhook_url=stuck, use_profile_webhooks=False)
        long_code(http)
        eventually(lambda: receiver.of("message.finalized"))


def test_the_pool_is_bounded(http: httpx.Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events there are, no more than eight are sent at once; all arrive in the end."""
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 120.0)
    receiver.answering.clear()
    for i in range(40):
        reply(http, f"text {i}")
    eventually(lambda: len(receiver.posts) == THREADS)
    receiver.answering.set()
    eventually(lambda: len({post.data["id"] for post in receiver.posts}) == 40)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("http://127.0.0.1:8080/webhooks/telnyx", True),
        ("https://otp.example", True),
        ("http://[::1]:80/x", True),
        ("http:///x", False),
        ("http://x:99999/", False),
        ("http://x:0/", False),
        ("http://x/\n", False),
        ("javascript:alert(1)", False),
        ("//x.example", False),
        ("", False),
    ],
)
def test_web_urls(url: str, good: bool) -> None:
    """Only http and https with a host can be posted to."""
    assert is_web_url(url) is good


def _client(server: SandboxServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers=KEY, trust_env=False, verify=False)


@pytest.fixture(autouse=True)
def _fresh_environment() -> Iterator[None]:
    """No proxy of the developer's machine takes part."""
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    with mock.patch.dict(os.environ):
        for name in names:
            os.environ.pop(name, None)
        yield
