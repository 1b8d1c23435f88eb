"""`otp-service serve` and `worker` as an operator runs them: alone, on a store that is there already."""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from otp_service import config, keyring
from otp_service.runtime import ports
from tests.conftest import clean_environ, wait_until
from tests.e2e.processes import alive, descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PUBLIC_KEY = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@dataclass
class Place:
    """Everything the service needs but a carrier; starts commands there and ends what a test leaves behind."""

    directory: Path
    environ: dict[str, str]
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start a command."""
        if arguments[0] == "serve":
            arguments = ("serve", "--drain", "0s", *arguments[1:])
        process = subprocess.Popen(
            [sys.executable, "-m", "otp_service", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ | environ,
            cwd=self.directory,
        )
        self.started.append(process)
        return process

    def serve(self, *options: str, workers: int = 2, **environ: str) -> "tuple[subprocess.Popen[str], str]":
        """Start the API on a free port and wait until it answers; the process and the URL."""
        port = ports.free_port()
        process = self.start("serve", "--port", str(port), "--workers", str(workers), *options, **environ)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or answers(url), 90, "the API")
        assert process.poll() is None, process.communicate()
        return process, url

    def refuse(self, *arguments: str, **environ: str) -> str:
        """Run a command that must fail with one sentence; the sentence."""
        process = self.start(*arguments, **environ)
        _, errors = process.communicate(timeout=90)
        assert process.returncode == 1
        assert "Traceback" not in errors
        assert errors.count("\n") == 1, errors
        return errors


def answers(url: str) -> bool:
    """Whether /healthz is 200."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def finish(process: "subprocess.Popen[str]", number: signal.Signals) -> tuple[int, str]:
    """Send the signal; exit status and stderr."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=90)
    return process.returncode, errors


@pytest.fixture
def place(tmp_path: Path, redis_url: str, redis_server: Any) -> Iterator[Place]:
    """A configured place with an empty store."""
    ring = tmp_path / "keyring.json"
    ring.touch(0o600)
    ring.write_bytes(keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"))
    (tmp_path / "otp-service.toml").write_text(config.DEV_TOML)
    here = Place(
        tmp_path,
        clean_environ(
            OTP_REDIS_URL=redis_url,
            OTP_KEYRING=str(ring),
            TELNYX_PUBLIC_KEY=PUBLIC_KEY,
            TELNYX_API_KEY="KEYnone",
            TELNYX_BASE_URL="http://127.0.0.1:1/v2",
            TMPDIR=str(tmp_path),
        ),
    )
    yield here
    for process in here.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


class TestServe:
    """The API's production server."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_cleanly(self, place: Place, number: signal.Signals) -> None:
        """Exit 0, no worker left, no temporary directory left, nothing but JSON lines on stderr."""
        process, _ = place.serve()
        # The first worker may answer before the second one is there.
        wait_until(lambda: len(descendants(process.pid)) == 2, 90, "both workers")
        family = list(descendants(process.pid))
        status, errors = finish(process, number)
        assert status == 0
        wait_until(lambda: not any(alive(pid) for pid in family), 90, "the end of all workers")
        assert not list(place.directory.glob("otp-metrics-*"))
        assert all(line.startswith("{") for line in errors.splitlines())

    def test_killing_the_main_process_leaves_no_worker(self, place: Place) -> None:
        """kill -9 of the main process: nobody answers on the port any more, soon."""
        process, url = place.serve()
        family = list(descendants(process.pid))
        process.kill()
        wait_until(lambda: not any(alive(pid) for pid in family), 90, "the end of all workers")
        assert not answers(url)

    def test_a_killed_worker_is_replaced(self, place: Place) -> None:
        """kill -9 of a worker costs its requests, not the service. The new one imports nothing: its parent has."""
        process, url = place.serve()
        assert "httptools" in Path(f"/proc/{process.pid}/maps").read_text()
        victim = next(iter(descendants(process.pid)))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(set(descendants(process.pid)) - {victim}) == 2, 90, "a new worker")
        wait_until(lambda: answers(url), 90, "an answer")
        assert finish(process, signal.SIGTERM)[0] == 0

    def test_a_connection_that_says_nothing_does_not_hold_up_the_end(self, place: Place) -> None:
        """Half a request on a connection: the server still ends in time."""
        process, url = place.serve(workers=1)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as silent:
            silent.sendall(b"POST /verify/start HTTP/1.1\r\nHo")
            assert finish(process, signal.SIGTERM)[0] == 0

    @pytest.mark.parametrize("pause_ms", [250, 300])
    def test_the_last_requests_are_in_the_log(self, place: Place, redis_server: Any, pause_ms: int) -> None:
        """Also one that is answered right before the end: the store holds it up until the server ends."""
        process, url = place.serve(workers=1)
        key = f"otp_{'a' * 12}_{'b' * 43}"
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
            redis_server.client_pause(pause_ms)
            connection.sendall(f"POST /verify/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n".encode())
            connection.sendall(b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            # What came before these has been read by the one loop when they are answered.
            assert answers(url)
            assert answers(url)
            status, errors = finish(process, signal.SIGTERM)
        assert status == 0
        assert errors.count('"route":"/verify/check"') == 1

    def test_a_taken_port(self, place: Place) -> None:
        """One sentence with the way out; the first server is not disturbed, nor shared with."""
        process, url = place.serve(workers=1)
        port = url.rpartition(":")[2]
        sentence = place.refuse("serve", "--port", port)
        assert sentence.startswith(f"otp-service: port {port} is taken")
        assert "--port" in sentence
        assert finish(process, signal.SIGTERM)[0] == 0

    def test_an_address_that_is_not_ours(self, place: Place) -> None:
        """One sentence, too."""
        assert "192.0.2.1" in place.refuse("serve", "--host", "192.0.2.1", "--port", "0")
        assert "nowhere.invalid" in place.refuse("serve", "--host", "nowhere.invalid", "--port", "0")

    def test_names_and_ipv6(self, place: Place) -> None:
        """It listens on `localhost`, and on the loopback of IPv6 where there is one."""
        for host, address in (("localhost", None), ("::1", "::1")):
            try:
                _, port = ports.usable_address(host, 0)
            except ports.PortTaken:
                pytest.skip("needs: an IPv6 loopback")
            process = place.start("serve", "--host", host, "--port", str(port), "--workers", "1")
            wait_until(lambda: answers(f"http://[{address}]:{port}" if address else f"http://localhost:{port}"), 60)  # noqa: B023
            assert finish(process, signal.SIGTERM)[0] == 0

    @pytest.mark.parametrize(
        ("name", "value", "word"),
        [
            ("OTP_KEYRING", "", "OTP_KEYRING"),
            ("OTP_KEYRING", "/nonexistent", "/nonexistent"),
            ("TELNYX_PUBLIC_KEY", "", "TELNYX_PUBLIC_KEY"),
            ("TELNYX_PUBLIC_KEY", "x", "TELNYX_PUBLIC_KEY"),
            ("OTP_REDIS_URL", "http://127.0.0.1", "OTP_REDIS_URL"),
            ("OTP_REDIS_URL", "unix:///nobody", "store"),
            ("OTP_SHARDS", "many", "OTP_SHARDS"),
            ("OTP_CONFIG", "/nonexistent", "OTP_CONFIG"),
        ],
    )
    def test_what_it_cannot_serve_with(self, place: Place, name: str, value: str, word: str) -> None:
        """A setting that is missing or wrong: one sentence that names it, exit 1, before anything listens."""
        assert word in place.refuse("serve", "--port", "0", **{name: value})

    def test_a_keyring_that_others_can_read(self, place: Place) -> None:
        """The service refuses secrets that are not secret."""
        (place.directory / "keyring.json").chmod(0o644)
        assert "chmod 600" in place.refuse("serve", "--port", "0")

    def test_counters_of_all_workers_are_added_up(self, place: Place) -> None:
        """/metrics answers for every process, and files of processes that are no more are removed."""
        metrics = place.directory / "metrics"
        metrics.mkdir()
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        stale = metrics / f"counter_{ended.pid}.db"
        stale.write_bytes(b"")
        port = ports.free_port()
        process, url = place.serve("--metrics-port", str(port), OTP_METRICS_DIR=str(metrics))
        assert not stale.exists()
        told = f"http://127.0.0.1:{port}"
        before = requests_seen(told)
        for _ in range(40):
            assert answers(url)
        assert requests_seen(told) - before >= 40
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/metrics", timeout=30)
        assert "--metrics-port" in place.refuse("serve", "--port", "0", "--metrics-port", str(port))
        assert finish(process, signal.SIGTERM)[0] == 0


def requests_seen(url: str, key: str = "") -> float:
    """How many requests /metrics knows of. `key`: an API key with the scope `metrics`, where one is needed."""
    asked = urllib.request.Request(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"} if key else {})
    with urllib.request.urlopen(asked, timeout=30) as response:
        text = response.read().decode()
    return sum(
        float(value) for value in re.findall(r"^otp_http_requests_total\{[^}]*\} ([0-9.e+]+)$", text, re.MULTILINE)
    )


class TestWorker:
    """The delivery worker alone."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_cleanly(self, place: Place, number: signal.Signals) -> None:
        """Exit 0 in a few seconds, without a traceback."""
        process = place.start("worker", "--processes", "1")
        assert process.stderr is not None
        # A busy store may be told of before.
        lines = iter(process.stderr.readline, "")
        assert any("worker started" in line for line in lines)
        status, errors = finish(process, number)
        assert status == 0
        assert "Traceback" not in errors

    def test_without_a_carrier_key(self, place: Place) -> None:
        """One sentence that names the variable."""
        assert "TELNYX_API_KEY" in place.refuse("worker", TELNYX_API_KEY="")


def test_it_takes_as_many_descriptors_as_the_system_allows(place: Place) -> None:
    """Not as few as a shell gives at first: of 400 idle connections none has to close for a new request."""
    port = ports.free_port()
    limited = ("sh", "-c", 'ulimit -S -n 256 && exec "$@"', "sh")
    options = ("--drain", "0s", "--workers", "1", "--port", str(port))
    process = subprocess.Popen(
        [*limited, sys.executable, "-m", "otp_service", "serve", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=place.environ,
        cwd=place.directory,
        text=True,
    )
    place.started.append(process)
    wait_until(lambda: answers(f"http://127.0.0.1:{port}"), 90, "the API")
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(400)]
        assert answers(f"http://127.0.0.1:{port}")
        for connection in idle:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
