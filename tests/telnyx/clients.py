"""A client of a misbehaving server, and a port where nobody listens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from otp_service.domain.delivery import SendOutcome
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.requests import build_send
from otp_service.telnyx.transport import Timeouts
from tests.telnyx.misbehaving import Misbehaving, Script

HURRY = Timeouts(connect_s=1.0, read_s=1.0, write_s=1.0, total_s=1.0)
"""For the tests that wait in vain."""

PATIENT = Timeouts(connect_s=30.0, read_s=30.0, write_s=30.0, total_s=30.0)
"""For all others, however busy the machine is."""

REQUEST = build_send(
    "long_code",
    to="+12025550143",
    text="123456 is your code",
    sender="+18445550001",
    messaging_profile_id=None,
    webhook_url="https://otp.example/webhooks/telnyx/dlv_1",
)
KEY = "dlv_1-1"


@contextmanager
def client_of(script: Script, timeouts: Timeouts = PATIENT) -> Iterator[tuple[TelnyxClient, Misbehaving]]:
    """A client and the server it talks to."""
    with Misbehaving(script) as server, TelnyxClient("KEY_secret", server.base_url, timeouts=timeouts) as client:
        yield client, server


def outcome_of(script: Script, timeouts: Timeouts = PATIENT) -> SendOutcome:
    """What one send to a server with this script ends in."""
    with client_of(script, timeouts) as (client, _):
        return client.send(REQUEST, idempotency_key=KEY)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections: it is taken for as long as this lasts, and nobody listens on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
