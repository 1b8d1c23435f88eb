"""A sandbox and our client of it, in one process or with a socket between them."""

from dataclasses import dataclass
from typing import Any

import httpx

from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.requests import SendRequest, build_send

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
TOLL_FREE, SHORT_CODE = "+18445550001", "12345"
PERSON, BRITON = "+12025550143", "+447911123456"


@dataclass
class SandboxCarrier:
    """A sandbox, our client of it, and a client of its control endpoints."""

    client: TelnyxClient
    control: httpx.Client
    public_key: bytes

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        """What arrived on a phone, newest first."""
        messages: list[dict[str, Any]] = self.control.get(f"/sandbox/phones/{phone}/messages").json()["messages"]
        return messages

    def reply(self, phone: str, text: str, to: str = TOLL_FREE) -> None:
        """A person replies."""
        self.control.post(f"/sandbox/phones/{phone}/messages", json={"to": to, "text": text}).raise_for_status()

    def chaos(self, **settings: Any) -> None:
        """Have the carrier misbehave."""
        self.control.put("/sandbox/chaos", json=settings).raise_for_status()


def sms(kind: str = "long_code", to: str = PERSON, text: str = "804519 is your code", **more: Any) -> SendRequest:
    """A send from the seeded senders."""
    sender = {"long_code": TOLL_FREE, "generic": TOLL_FREE, "short_code": SHORT_CODE, "alphanumeric": "Acme"}.get(kind)
    profile = None if kind in {"long_code", "short_code"} else PROFILE
    given: dict[str, Any] = {"sender": sender, "messaging_profile_id": profile, "webhook_url": None}
    return build_send(kind, to=to, text=text, **(given | more))
