"""Tools of the sandbox's tests: a clock that is moved by hand, a webhook receiver, clients with and without socket."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import httpx
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.server import SandboxServer

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
BACKUP = "+18445550001"
PERSON = "+13125550199"
KEY = {"Authorization": "Bearer KEY-of-tests"}

T = TypeVar("T")


def eventually(look: Callable[[], T | None], timeout_s: float = 30.0) -> T:
    """What `look` returns as soon as it is true; fails when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


class ManualClock:
    """Stands still until moved."""

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


@dataclass(frozen=True)
class Post:
    """One webhook post as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def data(self) -> dict[str, Any]:
        value: dict[str, Any] = self.json["data"]
        return value

    @property
    def type(self) -> str:
        return str(self.data.get("event_type"))

    @property
    def status(self) -> str:
        return str(self.data["payload"]["to"][0]["status"])

    def is_signed_by(self, public_key_b64: str) -> bool:
        signed = self.headers["telnyx-timestamp"].encode() + b"|" + self.body
        signature = base64.b64decode(self.headers["telnyx-signature-ed25519"], validate=True)
        try:
            VerifyKey(base64.b64decode(public_key_b64)).verify(signed, signature)
        except BadSignatureError:
            return False
        return True


@dataclass
class Receiver:
    """Takes webhooks; `answer` decides the status by post, `answering` holds answers back while it is cleared."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answer: Callable[[Post], int] = lambda _: 200
    answering: threading.Event = field(default_factory=threading.Event)

    def of(self, event_type: str) -> list[Post]:
        return [post for post in list(self.posts) if post.type == event_type]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver on loopback."""
    box = Receiver()
    box.answering.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            post = Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body, time.monotonic())
            box.posts.append(post)
            box.answering.wait(60)
            status = box.answer(post)
            try:
                self.send_response(status)
                if status in (301, 302, 307, 308):
                    self.send_header("Location", box.url + "/redirected")
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    box.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield box
    box.answering.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[SandboxServer]:
    """A sandbox on a socket whose profiles post to `receiver` at /profile."""
    with SandboxServer(webhook_url=receiver.url + "/profile") as server:
        yield server


@pytest.fixture
def http(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """A client of `sandbox`, with a key."""
    with httpx.Client(base_url=sandbox.url, headers=KEY, trust_env=False, verify=False, timeout=20) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    """The time of `carrier`."""
    return ManualClock()


@pytest.fixture
def carrier(clock: ManualClock) -> Iterator[Carrier]:
    """A carrier without socket and without webhooks, on the clock that is moved by hand."""
    made = Carrier(clock=clock)
    yield made
    made.close()


@pytest.fixture
def api(carrier: Carrier) -> Iterator[httpx.Client]:
    """A client of `carrier`, in-process, with a key."""
    with httpx.Client(
        transport=httpx.WSGITransport(create_app(carrier)), base_url="http://sandbox", headers=KEY
    ) as client:
        yield client


def long_code(client: httpx.Client, to: str = PERSON, text: str = "Your code is 123456", **more: Any) -> httpx.Response:
    """Send from the backup number."""
    headers = more.pop("headers", None)
    return client.post("/v2/messages/long_code", json={"from": BACKUP, "to": to, "text": text, **more}, headers=headers)


def pool(client: httpx.Client, to: str = PERSON, text: str = "Your code is 123456", **more: Any) -> httpx.Response:
    """Send from the seeded profile's pool."""
    headers = more.pop("headers", None)
    return client.post(
        "/v2/messages/number_pool",
        json={"messaging_profile_id": PROFILE, "to": to, "text": text, **more},
        headers=headers,
    )


def inbox(client: httpx.Client, phone: str = PERSON) -> list[dict[str, Any]]:
    """What arrived on a handset, newest first."""
    messages: list[dict[str, Any]] = client.get(f"/sandbox/phones/{phone}/messages").json()["messages"]
    return messages


def reply(client: httpx.Client, text: str, to: str = BACKUP, phone: str = PERSON) -> httpx.Response:
    """The person writes."""
    return client.post(f"/sandbox/phones/{phone}/messages", json={"to": to, "text": text})


def chaos(client: httpx.Client, **settings: Any) -> None:
    """Set chaos."""
    assert client.put("/sandbox/chaos", json=settings).status_code == 200


def journal(client: httpx.Client) -> list[dict[str, Any]]:
    """The requests that came."""
    requests: list[dict[str, Any]] = client.get("/sandbox/journal").json()["requests"]
    return requests


def code_of(answer: httpx.Response) -> str:
    """The carrier's code of an error."""
    return str(answer.json()["errors"][0]["code"])
