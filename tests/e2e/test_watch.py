"""Waiting for news at the real server: it comes, and whatever waits holds up nobody who works."""

import contextlib
import http.client
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from otp_service.web.routes.get_verification import TOKEN_SHARE

from ..conftest import Dev, start_dev, stop_dev
from .service_client import ServiceClient, within

MANY = 100
"""More waits than a pool of threads would have room for."""

PATIENCE_S = 15.0
"""Far below the longest wait; a busy machine needs some of it."""

Poll = Callable[..., "Future[httpx.Response]"]


@pytest.fixture
def poll(service_client: ServiceClient) -> Iterator[Poll]:
    """Starts a GET /verify/{id}, each on a connection that no other one uses meanwhile; all are cut at the end."""
    limits = httpx.Limits(max_connections=None)
    with ThreadPoolExecutor(MANY + 10) as pool, httpx.Client(timeout=90, limits=limits, trust_env=False) as client:

        def start(verification: str, query: str, token: str | None = None) -> "Future[httpx.Response]":
            headers = {"Authorization": f"Bearer {token or service_client.key()}"}
            return pool.submit(client.get, f"{service_client.url}/verify/{verification}{query}", headers=headers)

        yield start


def settled(service_client: ServiceClient, number: str) -> tuple[str, str, int]:
    """A verification whose SMS is delivered: its id, its watch token, and the version that stays for now."""
    started = service_client.start(number).json()
    name = str(started["verification_id"])
    within(60, lambda: service_client.deliveries(name) == ["delivered"], "the report")
    return name, str(started["watch_token"]), int(service_client.show(name)["version"])


def test_the_code_screen_follows_a_login(service_client: ServiceClient, poll: Poll) -> None:
    """From the queue to the approval with nothing but the token: each answer is newer, the last says approved."""
    number = service_client.number()
    started = service_client.start(number).json()
    name, token, version = started["verification_id"], started["watch_token"], started["version"]
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while not seen or seen[-1]["deliveries"][0]["status"] != "delivered":
        assert time.monotonic() < deadline
        seen.append(poll(name, f"?wait=25&after={version}", token).result(60).json())
        assert seen[-1]["version"] > version
        version = seen[-1]["version"]
    waiting = poll(name, f"?wait=25&after={version}", token)
    time.sleep(0.5)
    began = time.monotonic()
    assert service_client.check(name, service_client.code(number)).status_code == 200
    assert waiting.result(60).json()["status"] == "approved"
    assert time.monotonic() - began < PATIENCE_S


def test_full_of_waits_and_still_at_work(service_client: ServiceClient, poll: Poll) -> None:
    """However many wait, logins go on, one more may wait as well, and news reaches everybody."""
    name, _, version = settled(service_client, service_client.number())
    waits = [poll(name, f"?wait=25&after={version}") for _ in range(MANY)]
    answer = poll(name, f"?wait=1&after={version}").result(60)
    assert (answer.status_code, answer.json()["version"]) == (200, version)
    assert "retry-after" not in answer.headers
    for _ in range(2):
        began = time.monotonic()
        number = service_client.number()
        other = service_client.started(number)
        assert service_client.check(other, service_client.code(number)).status_code == 200
        assert time.monotonic() - began < PATIENCE_S
    asleep = [wait for wait in waits if not wait.done()]
    assert len(asleep) > MANY // 2
    service_client.check(name, "0000000000")
    began = time.monotonic()
    assert {wait.result(60).json()["version"] > version for wait in asleep} == {True}
    assert time.monotonic() - began < PATIENCE_S


def test_slow_bodies_with_a_key_do_not_block_a_login(service_client: ServiceClient) -> None:
    """Twenty callers who announce a body and send none: the others do not notice."""
    parts = urlsplit(service_client.url)
    key = service_client.key()
    head = f"POST /verify/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 99\r\n\r\n"
    with ExitStack() as connections:
        for _ in range(20):
            connection = socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=30)
            connections.enter_context(connection).sendall(head.encode())
        time.sleep(0.3)
        for _ in range(3):
            began = time.monotonic()
            number = service_client.number()
            name = service_client.started(number)
            assert service_client.check(name, service_client.code(number)).status_code == 200
            assert time.monotonic() - began < PATIENCE_S


def test_who_hangs_up_holds_a_place_for_its_wait_only(service_client: ServiceClient, poll: Poll) -> None:
    """More clients than a token has places go away in the middle of short waits: soon a wait finds a place again."""
    name, token, version = settled(service_client, service_client.number())
    parts = urlsplit(service_client.url)
    head = f"GET /verify/{name}?wait=2&after={version} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    for _ in range(2 * TOKEN_SHARE):
        with socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=30) as connection:
            connection.sendall(head.encode())

    def waited() -> bool:
        return "retry-after" not in poll(name, f"?wait=1&after={version}", token).result(60).headers

    within(60, waited, "a place to wait")


def test_a_request_to_end_ends_the_waits(tmp_path: Path) -> None:
    """SIGTERM: who waits gets the present state, and the process does not wait for them."""
    running: Dev = start_dev(tmp_path / "state")
    service_client = ServiceClient(running.env)
    try:
        name, token, version = settled(service_client, service_client.number())
        parts = urlsplit(service_client.url)
        with ExitStack() as connections:
            waits = []
            for _ in range(8):
                connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
                connections.enter_context(contextlib.closing(connection))
                connection.request(
                    "GET", f"/verify/{name}?wait=25&after={version}", headers={"Authorization": f"Bearer {token}"}
                )
                waits.append(connection)
            # What came before these has been read by the one loop when they are answered.
            for _ in range(2):
                assert httpx.get(f"{service_client.url}/healthz", timeout=30, trust_env=False).status_code == 200
            began = time.monotonic()
            assert stop_dev(running, signal.SIGTERM)[0] == 0
            assert time.monotonic() - began < PATIENCE_S
            for answer in (wait.getresponse() for wait in waits):
                assert (answer.status, json.loads(answer.read())["version"]) == (200, version)
                assert int(answer.headers["retry-after"]) >= 1
    finally:
        service_client.close()
        with contextlib.suppress(ProcessLookupError):
            running.process.kill()


def test_the_token_is_in_no_log_and_in_no_record(service_client: ServiceClient, shared_dev: Dev) -> None:
    """Used and refused, it is written down nowhere."""
    started = service_client.start(service_client.number()).json()
    name, token = started["verification_id"], started["watch_token"]
    headers = {"Authorization": f"Bearer {token}"}
    for path in (f"/verify/{name}", f"/verify/{name}?wait=1", f"/optouts/{token}", "/audit/events", f"/verify/x{name}"):
        service_client.client.get(service_client.url + path, headers=headers)
    time.sleep(0.3)
    assert token not in shared_dev.logs
    assert token not in service_client.call("GET", "/audit/events?limit=1000").text
    assert token not in service_client.call("GET", "/metrics").text
