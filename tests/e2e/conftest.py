"""One `otp-service dev` for the end-to-end tests, with a sender for every scenario."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from otp_service.sandbox.seeds import SandboxSender
from otp_service.sandbox.server import SandboxServer

from ..conftest import Dev, start_dev, stop_dev
from .carrier_shell import KEY, PROFILE, Shell
from .service_client import ServiceClient, configuration


@pytest.fixture(scope="session")
def shared_dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A running `otp-service dev` with the configuration of all scenarios."""
    directory = tmp_path_factory.mktemp("service")
    toml: Path = directory / "scenarios.toml"
    toml.write_text(configuration())
    running = start_dev(directory / "state", OTP_CONFIG=str(toml))
    try:
        yield running
    finally:
        stop_dev(running)


@pytest.fixture
def service_client(shared_dev: Dev) -> Iterator[ServiceClient]:
    """The caller's and the phones' side of it; the carrier behaves and remembers nothing."""
    with closing(ServiceClient(shared_dev.env)) as made:
        made.sandbox("POST", "/sandbox/reset")
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Dev]:
    """A `dev` that the test may end as it likes."""
    running = start_dev(tmp_path / "state")
    yield running
    if running.process.poll() is None:
        stop_dev(running)
    assert running.process.stdout is not None
    running.process.stdout.close()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A sandbox of its own, and a shell in an empty directory that has no configuration, no keyring and no store."""
    for name in list(os.environ):
        if name.startswith(("OTP_", "TELNYX_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with (
        SandboxServer(api_key=KEY, senders=[SandboxSender("whatsapp", PROFILE, "+15551234567")]) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
    ):
        monkeypatch.setenv("TELNYX_BASE_URL", f"{server.url}/v2")
        monkeypatch.setenv("TELNYX_API_KEY", KEY)
        yield Shell(capsys, server, control)
