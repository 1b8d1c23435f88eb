"""However busy a process is, /healthz is answered at once."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otp_service import bootstrap, config
from otp_service.runtime import ports
from otp_service.runtime.dev import embedded_store
from tests.conftest import wait_until
from tests.e2e.test_serving import Place, answers, place  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[embedded_store.EmbeddedServer]:
    """A server of our own, to be stopped."""
    server = embedded_store.start(tmp_path / "own", log=tmp_path / "own.log")
    try:
        server.wait_ready()
        yield server
    finally:
        os.kill(server.child.pid, signal.SIGCONT)
        server.stop()


def check(url: str, key: str) -> int:
    """POST /verify/check of nobody's verification; the status."""
    body = json.dumps({"to": "+12025550123", "code": "123456"}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/verify/check", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def serve(place: Place, environ: dict[str, str]) -> str:  # noqa: F811
    """The API's URL. Its log goes to a file: a pipe that nobody reads would stop it."""
    port = ports.free_port()
    command = [sys.executable, "-m", "otp_service", "serve", "--port", str(port), "--workers", "1"]
    with (place.directory / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=place.environ | environ, cwd=place.directory, text=True
        )
    place.started.append(process)
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(url), 90, "the API")
    return url


def slow_body(url: str) -> socket.socket:
    """A request whose body does not come."""
    sock = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    sock.sendall(b"POST /webhooks/telnyx HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    return sock


def test_health_waits_for_no_other_request(place: Place, own_server: embedded_store.EmbeddedServer) -> None:  # noqa: F811
    """A store that hangs, a hundred checks at a time, twenty bodies that do not come: each look is answered."""
    environ = {"OTP_REDIS_URL": own_server.url}
    url = serve(place, environ)
    keys = bootstrap.build_api_keys(config.load(place.environ | environ))
    key = keys.create("default", ("verify",), None).key
    wait_until(lambda: check(url, key) == 404, 60, "a check")
    slow = [slow_body(url) for _ in range(20)]
    stop = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        while not stop.is_set():
            statuses.append(check(url, key))
            time.sleep(0.1)

    os.kill(own_server.child.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(100) as pool:
        try:
            for _ in range(100):
                pool.submit(ask)
            wait_until(lambda: statuses, 60, "a first answer")
            for _ in range(20):
                began = time.monotonic()
                assert answers(url)
                # A check waits for the store for up to half a second, and a hundred of them for one another.
                assert time.monotonic() - began < 5
                time.sleep(0.05)
            received = set(statuses)
        finally:
            stop.set()
            os.kill(own_server.child.pid, signal.SIGCONT)
    assert received == {503}
    for sock in slow:
        sock.close()
