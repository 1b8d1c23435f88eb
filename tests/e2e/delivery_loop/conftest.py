"""One running service for all scenarios of the delivery loop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...conftest import start_dev, stop_dev
from ..service_client import ServiceClient
from .scenario import LOST_MODES, Scenario, configuration


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


@pytest.fixture(scope="package")
def long_ones(service_client: ServiceClient) -> list[Scenario]:
    """The scenarios that last longer than the code's life."""
    quiet = {"drop_rate": 1.0}
    begun = [
        Scenario(service_client, "silent", delivery={"outcome": "none"}, webhooks=quiet),
        Scenario(service_client, "unknown_quiet", send={"mode": "http_500"}),
        Scenario(service_client, "held", wait_seconds=60),
        Scenario(service_client, "alone_500", send={"mode": "http_500"}),
        Scenario(service_client, "alone_429", send={"mode": "http_429"}),
    ]
    return begun + [
        Scenario(service_client, f"lost_{mode}", send={"mode": mode}, webhooks=quiet) for mode in LOST_MODES
    ]
