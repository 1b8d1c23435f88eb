"""The event-loop server on a socket of the loopback, beside the Flask app that answers the same requests.

Each test can send the same requests both ways and compare the answers byte for byte: everything that is drawn by chance
is drawn from one sequence, and the store's clock stands still.
"""

import asyncio
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import redis
import uvloop
from nacl.signing import SigningKey

from otp_service import bootstrap
from otp_service.config import Settings
from otp_service.front import connection as connections
from otp_service.front import flask_app
from otp_service.front.plain import Endpoints, Found
from otp_service.front.server import FrontServer
from otp_service.runtime import front_process
from otp_service.runtime.dev import embedded_store
from otp_service.storage import audit_log
from otp_service.storage.api_keys import SCOPES
from otp_service.storage.script_files import Script, Value
from otp_service.storage.scripts import OrderedCall, Scripts
from tests.conftest import empty
from tests.patience import be_patient
from tests.web.conftest import make_settings

CODE, WRONG = "123456", "654321"
DEADLINE_S = 1.5
"""For a request to arrive, and for a caller to read, where that is tried."""

LONG_S = 60.0
"""The same where it is not."""

ODD = {"X_Odd": "a name with an underscore is not plain"}
"""Makes a request one of Flask's."""

CONNECTIONS = 40
"""Of the server that is crowded."""

_STILL_S = int(time.time()) + 3600
"""Later than any test of a run: keys end by the real clock, and none may end before its test does."""

_SECONDS_LEFT = re.compile(rb'"(?:expires|resend)_in":\d+,')


class Chance:
    """Stands in for `secrets` where the API is put together: the same sequence after each `again`."""

    def __init__(self) -> None:
        self._drawn = 0
        self._lock = threading.Lock()

    def again(self) -> None:
        """Begin the sequence anew."""
        self._drawn = 0

    def token_bytes(self, count: int) -> bytes:
        """As in `secrets`."""
        with self._lock:
            self._drawn += 1
            drawn = self._drawn
        return hashlib.shake_128(str(drawn).encode()).digest(count)

    def token_hex(self, count: int) -> str:
        """As in `secrets`."""
        return self.token_bytes(count).hex()

    def token_urlsafe(self, count: int) -> str:
        """As in `secrets`."""
        return self.token_hex(count)

    def randbelow(self, _: int) -> int:
        """Every code is the same."""
        return int(CODE)


class Counted(Endpoints):
    """Counts the requests that the loop answers itself."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__(())
        self._endpoints = endpoints
        self.calls = 0

    def find(self, method: bytes, url: bytes) -> Found | None:
        """The endpoint, which counts."""
        found = self._endpoints.find(method, url)
        if found is None:
            return None
        endpoint: Any = found[0]

        def counting(*request: Any) -> Any:
            self.calls += 1
            return endpoint(*request)

        return cast("Any", counting), found[1], found[2]


@dataclass(frozen=True)
class Request:
    """A request as it goes out. `body` may be made of the answers so far."""

    method: str
    path: str
    body: bytes | Callable[[Sequence[bytes]], bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self, answers: Sequence[bytes], more: Mapping[str, str]) -> bytes:
        """The bytes of it."""
        body = self.body if isinstance(self.body, bytes) else self.body(answers)
        headers = {"Host": "otp.test", **self.headers, **more}
        if self.method == "POST" and "Transfer-Encoding" not in headers:
            headers = {"Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


Change = Callable[["redis.Redis"], object]
"""Something that happens to the store between two requests."""

Step = Request | Change


@dataclass
class Running:
    """The server, and everything to look behind it."""

    port: int
    settings: Settings
    store: "redis.Redis"
    chance: Chance
    endpoints: Counted
    _keys: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    @property
    def in_loop(self) -> int:
        """How many requests the loop has answered itself."""
        return self.endpoints.calls

    def connect(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=LONG_S)

    def key(self, app: str = "default", *scopes: str) -> str:
        """An API key, which is valid in an emptied store too for as long as the process remembers it."""
        wanted = scopes or SCOPES
        if (app, wanted) not in self._keys:
            self._keys[app, wanted] = bootstrap.build_api_keys(self.settings).create(app, wanted, None).key
        return self._keys[app, wanted]

    def run(self, steps: Sequence[Step], more: Mapping[str, str]) -> list[bytes]:
        """The answers to the requests, one after the other on one connection, in a store with nothing but the keys."""
        for name in self.store.keys("*"):
            if b"{keys}" not in name:
                self.store.delete(name)
        return self.run_on(steps, more)

    def run_on(self, steps: Sequence[Step], more: Mapping[str, str]) -> list[bytes]:
        """The same in a store as it is now."""
        self.chance.again()
        answers: list[bytes] = []
        with self.connect() as connection:
            for step in steps:
                if isinstance(step, Request):
                    connection.sendall(step.raw(answers, more))
                    answers.append(read_response(connection))
                else:
                    step(self.store)
        return answers

    def both(self, *steps: Step, reads: bool = False, flasks: int = 0) -> list[bytes]:
        """Send the requests to the loop, then to Flask; both must give the same answers, which are returned.

        `reads`: a verification is read. How many seconds it has left is told by the store's real clock, and left out.
        `flasks`: so many of the requests are Flask's in any case.
        """
        before = self.in_loop
        looped = self.run(steps, {})
        answered = sum(isinstance(step, Request) for step in steps) - flasks
        assert self.in_loop - before == answered, "the loop has not answered all of them itself"
        passed_on = self.run(steps, ODD)
        assert self.in_loop - before == answered
        if reads:
            looped, passed_on = ([_SECONDS_LEFT.sub(b"", answer) for answer in some] for some in (looped, passed_on))
        assert looped == passed_on
        return looped


def read_response(connection: socket.socket) -> bytes:
    """One response, without the date (the machine's clock tells it) and without an interim response before it."""
    data = b""
    while b"\r\n\r\n" not in (data := data.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")):
        part = connection.recv(65536)
        assert part, data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    while length is not None and len(body) < int(length[1]):
        body += connection.recv(65536)
    return re.sub(rb"date: [^\r]+\r\n", b"", head) + b"\r\n\r\n" + body


def body_of(response: bytes) -> bytes:
    """The body of a response."""
    return response.partition(b"\r\n\r\n")[2]


class AtOneMoment(Scripts):
    """Runs the scripts with a clock that stands still."""

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        return super()._run(_at_one_moment(script), keys, args, repeat=repeat)

    def _run_together(self, calls: Sequence[OrderedCall], *, repeat: bool) -> list[Any]:
        still = [(_at_one_moment(script), keys, args) for script, keys, args in calls]
        return super()._run_together(still, repeat=repeat)


@cache
def _at_one_moment(script: Script) -> Script:
    text = script.text.replace("redis.call('TIME')", f"{{'{_STILL_S}', '0'}}")
    return replace(script, text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class SteppedServer(FrontServer):
    """Each part of its end lasts until the test lets it go on."""

    def __init__(self, config: Any, begin_end: Callable[[], None]) -> None:
        super().__init__(config, begin_end)
        self.drained, self.last_requests = threading.Event(), threading.Event()
        self.before_stop: Callable[[], object] = lambda: None

    async def stop_listening(self) -> None:
        """What the test does first happens while the loop does nothing else."""
        self.before_stop()
        await super().stop_listening()

    async def serve_on(self, _: float, *, while_connected: bool = False) -> None:
        """As long as the test wants."""
        done = self.last_requests if while_connected else self.drained
        while not done.is_set():
            await super().serve_on(0.02)


class ServingThread:
    """An event loop with the server, in a thread."""

    def __init__(
        self,
        settings: Settings,
        listening: socket.socket,
        chance: Chance,
        deadline_s: float = LONG_S,
        connections: int | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._settings = settings
        self._connections = connections
        self._chance = chance
        self._listening = listening
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), daemon=True)
        self.endpoints: Any = None
        self.server: SteppedServer

    async def _serve(self) -> None:
        front = bootstrap.build_front(
            self._settings, asyncio.get_running_loop(), chance=self._chance, make_scripts=AtOneMoment
        )
        self.endpoints = Counted(front.endpoints)
        counted = replace(front, endpoints=self.endpoints)
        config = front_process.server_config(counted, 4, self._deadline_s, self._connections, self._deadline_s)
        self.server = SteppedServer(config, front.begin_end)
        self._started.set()
        await self.server.serve([self._listening])
        front.close()
        await asyncio.sleep(0.01)

    def __enter__(self) -> "ServingThread":
        with pytest.MonkeyPatch.context() as patched:
            be_patient(patched)
            patched.setattr(flask_app, "PATIENCE_S", 60.0)
            self._thread.start()
            assert self._started.wait(LONG_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.server.drained.set()
        self.server.last_requests.set()
        self._thread.join(LONG_S)
        assert not self._thread.is_alive()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the service waits, for the store or for a caller who still sends, is tried elsewhere."""
    be_patient(monkeypatch)
    monkeypatch.setattr(connections, "LINGER_S", 20.0)
    monkeypatch.setattr(audit_log, "READ_S", 60.0)


@pytest.fixture(scope="session")
def _own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store for these tests alone: the server looks in the background, and marks an empty store as its own."""
    directory = tmp_path_factory.mktemp("front_store")
    server = embedded_store.start(directory, log=directory / "server.log")
    try:
        server.wait_ready()
        with redis.Redis.from_url(server.url) as client:
            # A slow disk makes a server that syncs pause for longer than the service waits.
            client.config_set("appendfsync", "no")
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def _served(tmp_path_factory: pytest.TempPathFactory, _own_store: str) -> Iterator[Running]:
    chance = Chance()
    directory: Path = tmp_path_factory.mktemp("front")
    settings = make_settings(directory, _own_store, SigningKey.generate())
    with (
        redis.Redis.from_url(_own_store) as store,
        socket.create_server(("127.0.0.1", 0)) as listening,
        ServingThread(settings, listening, chance) as thread,
    ):
        yield Running(listening.getsockname()[1], settings, store, chance, thread.endpoints)


@pytest.fixture
def crowded(front: Running) -> Iterator[Running]:
    """Another server over the same store, which may have no more than `CONNECTIONS` connections."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ServingThread(front.settings, listening, front.chance, DEADLINE_S, CONNECTIONS) as thread,
    ):
        yield replace(front, port=listening.getsockname()[1], endpoints=thread.endpoints)


@pytest.fixture
def front(_served: Running) -> Running:
    """The server over an empty store."""
    empty(_served.store)
    _served.store.script_flush()
    _served._keys.clear()
    return _served
