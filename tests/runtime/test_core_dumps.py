"""A process that holds secrets leaves no core dump."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service.cli.main import main
from otp_service.domain.errors import ConfigError
from otp_service.runtime import wsgi


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What was asked of the kernel."""
    asked: list[object] = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, limit: asked.append((what, limit)))
    yield asked
    assert asked == [(resource.RLIMIT_CORE, (0, 0))]


@pytest.mark.usefixtures("limits")
def test_every_command_forbids_them(tmp_path: Path) -> None:
    """Before it reads a secret; the processes that it starts inherit the limit."""
    assert main(["keyring", "create", str(tmp_path / "keyring.json")]) == 0


@pytest.mark.usefixtures("limits")
def test_the_application_for_another_server_forbids_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts it."""
    monkeypatch.setenv("OTP_CONFIG", "/does/not/exist")
    with pytest.raises(ConfigError):
        wsgi.application()
