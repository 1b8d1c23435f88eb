"""One running service for all scenarios of the delivery loop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...conftest import start_dev, stop_dev
from ..service_client import ServiceClient
from .scenario import configuration


@pytest.fixture(scope="package")
def service_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    """Caller, phones and carrier of a service with this configuration. No reset: scenarios run at the same time."""
    directory: Path = tmp_path_factory.mktemp("loop")
    (directory / "scenarios.toml").write_text(configuration())
    dev = start_dev(directory / "state", OTP_CONFIG=str(directory / "scenarios.toml"))
    made = ServiceClient({**dev.env, "OTP_CONFIG": str(directory / "scenarios.toml"), "OTP_KEYRING": ""})
    try:
        yield made
    finally:
        made.close()
        stop_dev(dev)
