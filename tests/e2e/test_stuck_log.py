"""A log that nobody reads: a worker waits for its store, works and ends all the same."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from otp_service import config
from otp_service.runtime.dev import embedded_store
from otp_service.storage.schema import Keys
from tests.conftest import clean_environ, wait_until
from tests.e2e.processes import descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def full() -> Iterator[int]:
    """The writing end of a pipe in which nothing has room."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    yield writing
    os.close(writing)
    os.close(reading)


def refuse(path: Path, times: int) -> None:
    """Be a store that hangs up, so many times."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(90)
        for _ in range(times):
            listening.accept()[0].close()
    path.unlink()


def test_a_worker_that_waits_for_its_store(tmp_path: Path, full: int) -> None:
    """It says so again and again, to nobody. When the store is back it works, and it ends when it is told to."""
    keyring = tmp_path / "keyring.json"
    subprocess.run([sys.executable, "-m", "otp_service", "keyring", "create", str(keyring)], check=True)
    (tmp_path / "otp-service.toml").write_text(config.DEV_TOML)
    store = tmp_path / "store"
    server = embedded_store.start(store, log=tmp_path / "server.log")
    server.wait_ready()
    environ = clean_environ(OTP_REDIS_URL=server.url, OTP_KEYRING=str(keyring), TELNYX_API_KEY="KEYnone")
    environ |= {"TELNYX_BASE_URL": "http://127.0.0.1:1/v2", "TMPDIR": str(tmp_path)}
    worker = subprocess.Popen(
        [sys.executable, "-m", "otp_service", "worker", "--processes", "2"],
        stdout=subprocess.DEVNULL,
        stderr=full,
        env=environ,
        cwd=tmp_path,
    )
    try:
        with redis.Redis.from_url(server.url) as client:
            wait_until(lambda: client.hlen(Keys(16).processes()) == 2, 90, "two processes at work")
        server.stop()
        for pid in descendants(worker.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        refuse(Path(server.url.removeprefix("unix://")), times=8)
        server = embedded_store.start(store, log=tmp_path / "server.log")
        server.wait_ready()
        with redis.Redis.from_url(server.url) as client:
            client.delete(Keys(16).processes())
            wait_until(lambda: client.hlen(Keys(16).processes()) == 2, 120, "their successors at work")
        worker.terminate()
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()
        server.stop()
