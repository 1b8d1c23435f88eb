"""The carrier's own Python SDK, pointed at a sandbox: an independent check of it.

The SDK is a development dependency and nothing else; the service has its own client (`telnyx.client`).
Its models are built without validation. Here they are validated, so an answer that the carrier's own types do not
accept is a failure, too.
"""

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from otp_service.sandbox.server import SandboxServer

from .webhook_receiver import WebhookReceiver

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
TOLL_FREE, SHORT_CODE, MOBILE = "+18445550001", "12345", "+13127367407"
PERSON, OTHER = "+12025550143", "+12025550144"
NOBODY = "00000000-0000-0000-0000-000000000000"
CODE = [{"type": "text", "text": "804519"}]
TEMPLATE = {
    "type": "template",
    "template": {
        "name": "otp_code",
        "language": {"policy": "deterministic", "code": "en_US"},
        "components": [
            {"type": "body", "parameters": CODE},
            {"type": "button", "sub_type": "url", "index": 0, "parameters": CODE},
        ],
    },
}


def error(name: str) -> Any:
    """One of the SDK's exceptions. The SDK takes seconds to import, which only the worker that needs it shall do."""
    return getattr(importlib.import_module("telnyx"), name)


@dataclass
class SandboxClient:
    """A sandbox on a socket, the SDK pointed at it, a client of its control endpoints, and where its webhooks go."""

    server: SandboxServer
    sdk: Any
    control: httpx.Client
    receiver: WebhookReceiver

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        """What arrived on a phone."""
        messages: list[dict[str, Any]] = self.control.get(f"/sandbox/phones/{phone}/messages").json()["messages"]
        return messages

    def reply(self, phone: str, text: str) -> None:
        """A person replies."""
        answer = self.control.post(f"/sandbox/phones/{phone}/messages", json={"to": TOLL_FREE, "text": text})
        answer.raise_for_status()

    def chaos(self, **settings: Any) -> None:
        """Have the carrier misbehave."""
        self.control.put("/sandbox/chaos", json=settings).raise_for_status()


def valid(model: Any) -> Any:
    """The model, after the SDK's own types have accepted every field of it.

    But for two words that the carrier's guides have and its document lacks: `scheduled` and `cancelled`.
    """
    text = json.dumps(model.to_dict(mode="json", warnings=False))
    type(model).model_validate_json(re.sub(r'"status": "(scheduled|cancelled)"', '"status": "queued"', text))
    return model


def later(**delta: float) -> datetime:
    """A moment from now on."""
    return datetime.now(UTC) + timedelta(**delta)


Send = Callable[[Any], Any]
SENDS: dict[str, Send] = {
    "send": lambda m: m.send(from_=TOLL_FREE, to=PERSON, text="Hello"),
    "send by profile": lambda m: m.send(messaging_profile_id=PROFILE, to=PERSON, text="Hello"),
    "long code": lambda m: m.send_long_code(from_=TOLL_FREE, to=PERSON, text="Hello"),
    "number pool": lambda m: m.send_number_pool(messaging_profile_id=PROFILE, to=PERSON, text="Hello"),
    "short code": lambda m: m.send_short_code(from_=SHORT_CODE, to=PERSON, text="Hello"),
    "group MMS": lambda m: m.send_group_mms(from_=TOLL_FREE, to=[PERSON, OTHER], text="Hello"),
    "WhatsApp": lambda m: m.whatsapp(from_=TOLL_FREE, to=PERSON, type="WHATSAPP", whatsapp_message=TEMPLATE),
}


def code_of(error: Any) -> str:
    """The carrier's code in an SDK exception, from the whole envelope that it keeps."""
    (first,) = error.body["errors"]
    assert first["title"]
    return str(first["code"])
