"""The end of a process: it is not ready first, then every request that is on its way is answered."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from nacl.signing import SigningKey

from tests.conftest import wait_until
from tests.web.conftest import make_settings

from .conftest import Chance, Running, ServingThread, SteppedServer, body_of, read_response
from .test_protocol import HEALTH, status_of
from .test_same_answers import Cases
from .test_waiting import _started, _wait

DOCUMENT = HEALTH.replace(b"/healthz", b"/.well-known/jwks.json")
READY = HEALTH.replace(b"/healthz", b"/readyz")


class Ending(Running):
    """A server that the test tells to end."""

    server: SteppedServer

    def ask(self, connection: socket.socket, request: bytes) -> bytes:
        """The response to one more request on this connection."""
        connection.sendall(request)
        return read_response(connection)

    def end(self) -> None:
        """Tell it to end, and wait until it has begun to."""
        self.server.should_exit = True

        def is_not_ready() -> bool:
            with self.connect() as connection:
                return status_of(self.ask(connection, READY)) == 503

        wait_until(is_not_ready, what="/readyz to fail")


@pytest.fixture
def ending(tmp_path: Path, redis_server: "redis.Redis", redis_url: str) -> Iterator[Ending]:
    """The server, which serves on until the test ends it."""
    settings = make_settings(tmp_path, redis_url, SigningKey.generate())
    chance = Chance()
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ServingThread(settings, listening, chance) as thread,
    ):
        running = Ending(listening.getsockname()[1], settings, redis_server, chance, thread.endpoints)
        running.server = thread.server
        yield running


def test_it_serves_on_and_closes_each_connection_with_a_response(ending: Ending) -> None:
    """All but /readyz is served as before, by loop and Flask; what was idle, half here, or new, is answered."""
    verification_id, version, cases = _started(ending)
    check = Cases(ending).start("+12025550177").raw([], {})
    with _wait(ending, verification_id, cases, after=version) as waiting, ending.connect() as idle:
        assert b"connection: close" not in ending.ask(idle, HEALTH)
        with ending.connect() as half, ending.connect() as opened:
            half.sendall(check[:-5])
            ending.end()
            assert json.loads(body_of(read_response(waiting)))["version"] == version
            for connection, request in ((idle, HEALTH), (half, check[-5:]), (opened, HEALTH)):
                _is_last(ending, connection, request)
    for request in (HEALTH, DOCUMENT):
        with ending.connect() as connection:
            _is_last(ending, connection, request)
    with ending.connect() as told:
        assert b"This process was told to end." in body_of(ending.ask(told, READY))


def _is_last(ending: Ending, connection: socket.socket, request: bytes) -> None:
    response = ending.ask(connection, request)
    assert status_of(response) in (200, 201)
    assert b"\r\nconnection: close\r\n" in response
    assert connection.recv(1) == b""


def test_what_is_on_its_way_when_it_stops_listening_is_answered(ending: Ending) -> None:
    """A connection that is idle, or not accepted yet, may still send its last request; one that does not is closed."""
    late: list[socket.socket] = []
    ending.server.before_stop = lambda: late.append(ending.connect())
    with ending.connect() as served, ending.connect() as idle:
        for connection in (served, idle):
            ending.ask(connection, HEALTH)
        ending.end()
        ending.server.drained.set()
        wait_until(lambda: not _connects(ending.port), what="the end of listening")
        _is_last(ending, served, HEALTH)
        with late[0] as connection:
            _is_last(ending, connection, HEALTH)
        ending.server.last_requests.set()
        assert idle.recv(1) == b""


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True
