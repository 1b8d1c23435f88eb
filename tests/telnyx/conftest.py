"""Sandboxes and clients for the tests of the carrier."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.server import SandboxServer
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.signatures import parse_public_key
from tests.conftest import NEEDS

from .official_sdk import SandboxClient
from .sandbox_carrier import SandboxCarrier
from .webhook_receiver import listening


@pytest.fixture
def sandbox_client() -> Iterator[SandboxClient]:
    """A sandbox and the SDK's client of it. A late webhook of another test would be taken for one of this."""
    telnyx: Any = pytest.importorskip("telnyx", reason=f"{NEEDS} the package telnyx")
    with (
        listening() as receiver,
        SandboxServer(api_key="KEY", webhook_url=receiver.url) as server,
        httpx.Client(base_url=server.url, trust_env=False, verify=False, timeout=20) as control,
        telnyx.Telnyx(
            api_key="KEY",
            base_url=f"{server.url}/v2",
            public_key=server.public_key_b64,
            max_retries=0,
            http_client=httpx.Client(trust_env=False, verify=False),
        ) as sdk,
    ):
        yield SandboxClient(server, sdk, control, receiver)


@pytest.fixture(params=["process", "socket"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxCarrier]:
    """A fresh sandbox and a client, in one process or with a socket between them."""
    if request.param == "socket":
        with (
            SandboxServer(api_key="KEY") as server,
            TelnyxClient("KEY", f"{server.url}/v2") as client,
            httpx.Client(base_url=server.url, trust_env=False, verify=False, timeout=20) as control,
        ):
            yield SandboxCarrier(client, control, parse_public_key(server.public_key_b64))
        return
    carrier = Carrier(api_key="KEY")
    transport = httpx.WSGITransport(app=create_app(carrier))
    try:
        with (
            TelnyxClient("KEY", "http://sandbox.test/v2", transport=transport) as client,
            httpx.Client(base_url="http://sandbox.test", transport=transport) as control,
        ):
            yield SandboxCarrier(client, control, parse_public_key(carrier.signer.public_key_b64))
    finally:
        carrier.close()
