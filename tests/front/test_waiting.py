"""Requests that wait for news, in the loop: no thread each, and everybody is told."""

import json
import socket
import threading
import time

import pytest

from otp_service.usecases.watch import EVERY_S, WATCHED_AT_ONCE
from tests.conftest import wait_until

from ..sample_numbers import sample
from .conftest import WRONG, Request, Running, body_of, read_response
from .test_protocol import HEALTH, status_of
from .test_same_answers import Cases


def _started(front: Running) -> tuple[str, int, Cases]:
    cases = Cases(front)
    reply = json.loads(body_of(front.run([cases.start()], {})[0]))
    return reply["verification_id"], reply["version"], cases


def _wait(front: Running, verification_id: str, cases: Cases, after: int, wait: int = 25) -> socket.socket:
    connection = front.connect()
    path = f"/verify/{verification_id}?wait={wait}&after={after}"
    connection.sendall(Request("GET", path, headers=cases.headers).raw([], {}))
    return connection


def _check(front: Running, verification_id: str, cases: Cases) -> None:
    body = json.dumps({"verification_id": verification_id, "code": WRONG}).encode()
    with front.connect() as connection:
        connection.sendall(Request("POST", "/verify/check", body, cases.headers).raw([], {}))
        assert status_of(read_response(connection)) == 422


def test_hundreds_wait_for_one_change(front: Running) -> None:
    """All are told, before their time is over; meanwhile others are answered; and there is no thread for each."""
    verification_id, version, cases = _started(front)
    threads = threading.active_count()
    waiting = [_wait(front, verification_id, cases, after=version) for _ in range(400)]
    try:
        with front.connect() as other:
            other.sendall(HEALTH)
            assert status_of(read_response(other)) == 200
        time.sleep(3 * EVERY_S)
        assert threading.active_count() < threads + 20
        _check(front, verification_id, cases)
        for connection in waiting:
            response = read_response(connection)
            assert status_of(response) == 200
            assert json.loads(body_of(response))["version"] > version
    finally:
        for connection in waiting:
            connection.close()


def test_a_wait_ends_unchanged(front: Running) -> None:
    """After the seconds that were asked for."""
    verification_id, version, cases = _started(front)
    began = time.monotonic()
    with _wait(front, verification_id, cases, after=version, wait=1) as connection:
        assert status_of(read_response(connection)) == 200
    assert 0.9 < time.monotonic() - began < 20


def test_a_watch_token_has_its_share(front: Running) -> None:
    """The seventeenth wait with it is answered at once, to come back later; who leaves gives its place back."""
    cases = Cases(front)
    reply = json.loads(body_of(front.run([cases.start()], {})[0]))
    verification_id, version = reply["verification_id"], reply["version"]
    cases.headers = {"Authorization": f"Bearer {reply['watch_token']}"}

    def is_full() -> bool:
        with _wait(front, verification_id, cases, after=version, wait=1) as connection:
            return b"\r\nretry-after: 1\r\n" in read_response(connection)

    waiting = [_wait(front, verification_id, cases, after=version, wait=25) for _ in range(16)]
    try:
        wait_until(is_full, 20, "all places to be taken")
        waiting.pop().close()
        wait_until(lambda: not is_full(), 20, "a place, long before the wait would have ended")
    finally:
        for connection in waiting:
            connection.close()


def test_who_goes_away_is_forgotten(front: Running) -> None:
    """A browser that is closed while it waits harms nobody."""
    verification_id, version, cases = _started(front)
    for _ in range(20):
        _wait(front, verification_id, cases, after=version, wait=1).close()
    time.sleep(1.5)
    _check(front, verification_id, cases)


def test_more_are_watched_than_one_round_trip_asks_for(front: Running) -> None:
    """The change of one is told to the request that waits for it, and to no other."""
    cases = Cases(front)
    count = WATCHED_AT_ONCE + 10
    replies = front.run([cases.start(sample(number)) for number in range(count)], {})
    started = [json.loads(body_of(reply)) for reply in replies]
    waiting = [_wait(front, one["verification_id"], cases, after=one["version"], wait=25) for one in started]
    try:
        time.sleep(3 * EVERY_S)
        _check(front, started[-1]["verification_id"], cases)
        assert status_of(read_response(waiting[-1])) == 200
        for connection in waiting[:-1]:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
    finally:
        for connection in waiting:
            connection.close()
