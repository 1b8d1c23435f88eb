"""One `otp-service dev` for the end-to-end tests, with a sender for every scenario."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import Dev, start_dev, stop_dev
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
    made = ServiceClient(shared_dev.env)
    made.sandbox("POST", "/sandbox/reset")
    try:
        yield made
    finally:
        made.close()
