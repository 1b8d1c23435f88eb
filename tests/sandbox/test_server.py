"""The sandbox as a process and as a thing in a thread: ports, signals, ends, and the threads it leaves (none)."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from nacl.signing import SigningKey

import otp_service
from otp_service.sandbox.server import CannotListenError, SandboxServer, decode_seed, serve
from tests.sandbox.conftest import KEY, Receiver, eventually, inbox, long_code, reply

ROOT = str(Path(otp_service.__file__).parent.parent)
SCRIPT = """
from otp_service.sandbox import handler
from otp_service.sandbox.server import serve
handler.HANG_S = 600
serve(host="127.0.0.1", port=0, webhook_url=None, api_key=None, signing_seed=bytes(32),
      on_ready=lambda url: print(url, flush=True))
print("returned", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    """On SIGTERM or SIGINT `serve` returns soon, with connections open and answers outstanding."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().strip()
        host, port = url.removeprefix("http://").split(":")
        with httpx.Client(base_url=url, headers=KEY, trust_env=False, timeout=30) as http:
            assert long_code(http).status_code == 200
            http.put("/sandbox/chaos", json={"send": {"mode": "timeout"}})
            with socket.create_connection((host, int(port))) as hanging, socket.create_connection((host, int(port))):
                body = b'{"from":"+18445550001","to":"+13125550199","text":"x"}'
                hanging.sendall(
                    b"POST /v2/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
                eventually(lambda: len(inbox(http)) == 2)
                os.kill(process.pid, number)
                # The answer that is outstanding would take ten minutes.
                out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "returned\n", "")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_a_taken_port_is_one_sentence() -> None:
    """A port in use is an exception with one sentence, not a traceback from below, and nothing is left open."""
    with SandboxServer() as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(CannotListenError, match=rf"^The sandbox cannot listen on 127.0.0.1 port {port}: .*taken"):
            SandboxServer(port=port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("no.such.host.invalid", 0), ("192.0.2.1", 0)])
def test_an_unusable_address_is_one_sentence(host: str, port: int) -> None:
    """So is an address that cannot be listened on at all."""
    with pytest.raises(CannotListenError, match=r"^The sandbox cannot listen on "):
        SandboxServer(host=host, port=port)


def test_off_the_main_thread_no_signal_handler_is_touched() -> None:
    """`serve` in another thread leaves the process's handlers alone."""
    before = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    ready = threading.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    threading.Thread(
        target=serve,
        kwargs={
            "host": "127.0.0.1",
            "port": 0,
            "webhook_url": None,
            "api_key": None,
            "signing_seed": None,
            "on_ready": on_ready,
        },
        daemon=True,
    ).start()
    assert ready.wait(60)
    assert httpx.get(urls[0] + "/sandbox/healthz", trust_env=False).status_code == 200
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_closing_leaves_nothing(receiver: Receiver) -> None:
    """After close no thread of the sandbox runs and the port is free; a second close does nothing."""
    before = set(threading.enumerate())
    server = SandboxServer(webhook_url=receiver.url).start()
    port = int(server.url.rsplit(":", 1)[1])
    with httpx.Client(base_url=server.url, headers=KEY, trust_env=False, verify=False) as http:
        long_code(http)
        reply(http, "hi")
        eventually(lambda: len(receiver.posts) == 3)
        with http.stream("GET", "/sandbox/events"):
            server.close()
    server.close()
    eventually(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("sandbox")])
    SandboxServer(port=port).close()


def test_never_started_can_be_closed() -> None:
    """Constructing takes the port; closing without a start gives it back."""
    server = SandboxServer()
    port = int(server.url.rsplit(":", 1)[1])
    server.close()
    SandboxServer(port=port).close()


def test_the_seed_makes_the_key(receiver: Receiver) -> None:
    """A given seed is the key, both parts of it are printed, and it signs the webhooks."""
    seed = bytes(range(32))
    with (
        SandboxServer(signing_seed=seed, webhook_url=receiver.url) as server,
        httpx.Client(base_url=server.url, headers=KEY, trust_env=False, verify=False) as http,
    ):
        assert decode_seed(server.seed_b64) == seed
        public = base64.b64encode(bytes(SigningKey(seed).verify_key)).decode()
        assert server.public_key_b64 == public
        reply(http, "hi")
        (post,) = eventually(lambda: list(receiver.posts))
        assert post.is_signed_by(public)


def test_without_a_seed_every_sandbox_has_its_own_key() -> None:
    """Two sandboxes without a given seed do not share a key."""
    with SandboxServer() as one, SandboxServer() as other:
        assert one.public_key_b64 != other.public_key_b64


@pytest.mark.parametrize("seed", [b"", b"x" * 31, b"x" * 33])
def test_a_seed_has_32_bytes(seed: bytes) -> None:
    """Any other length is refused in words."""
    with pytest.raises(ValueError, match="32 bytes"):
        SandboxServer(signing_seed=seed)


@pytest.mark.parametrize("url", ["ftp://x.example", "127.0.0.1:8080/hooks", "http://"])
def test_the_webhook_url_must_be_one(url: str) -> None:
    """A webhook URL that cannot be posted to is refused at the start."""
    with pytest.raises(ValueError, match="http or https"):
        SandboxServer(webhook_url=url)


def test_ipv6() -> None:
    """An IPv6 address is listened on and spelled with brackets."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("needs: IPv6 on loopback")
    with SandboxServer(host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(server.url + "/sandbox/healthz", trust_env=False).status_code == 200
