"""Events of the carrier as it sends them, and one login with a delivery that they are about."""

import secrets
from typing import Any

from hypothesis import strategies as st

from .conftest import PROFILE, PUBLIC_URL, Answer, ApiHarness


def finalized(number: str, delivery: str | None, status: str, message: str = "msg-1", **more: object) -> dict[str, Any]:
    """A deliveryUpdate as the carrier writes it: our webhook URL of the message is in the signed body."""
    event = "message.sent" if status == "sent" else "message.finalized"
    url = None if delivery is None else f"{PUBLIC_URL}/webhooks/telnyx/{delivery}"
    errors = [{"code": "40008", "title": "Undeliverable"}] if status == "delivery_failed" else []
    payload = {
        "id": message,
        "record_type": "message",
        "direction": "outbound",
        "type": "SMS",
        "from": {"phone_number": "+17755550100"},
        "to": [{"phone_number": number, "status": status}],
        "messaging_profile_id": PROFILE,
        "webhook_url": url,
        "errors": errors,
    }
    data = {
        "id": f"evt-{secrets.token_hex(8)}",
        "event_type": event,
        "occurred_at": "2026-01-31T12:00:00.000+00:00",
        "record_type": "event",
        "payload": payload,
    }
    return {"data": {**data, **more}, "meta": {"attempt": 1}}


class Flow:
    """One verification with one delivery, still in our queue."""

    def __init__(self, api: ApiHarness, **members: object) -> None:
        self.api = api
        self.number = api.number()
        shown = api.start(self.number, **members).json
        self.id = shown["verification_id"]
        self.delivery = shown["deliveries"][0]["delivery_id"]

    def show(self) -> dict[str, Any]:
        """The verification now."""
        found: dict[str, Any] = self.api.call("GET", f"/verify/{self.id}").json
        return found

    @property
    def status(self) -> str:
        """The first delivery's status now."""
        return str(self.show()["deliveries"][0]["status"])

    def event(self, status: str, **more: Any) -> dict[str, Any]:
        """A genuine event about the delivery."""
        return finalized(self.number, self.delivery, status, **more)

    def post(self, body: object, **headers: str) -> Answer:
        """To the delivery's own path."""
        return self.api.hook(body, f"/{self.delivery}", at=None, **headers)


def rejections(api: ApiHarness) -> list[dict[str, Any]]:
    """The reasons in the record."""
    events = api.call("GET", "/audit/events?type=webhook.rejected").json["events"]
    return [event["detail"] for event in events]


MEMBERS = (
    "id to from status phone_number errors code title text messaging_profile_id webhook_url autoresponse_type url "
    "message_id time_clicked direction type record_type received_at"
)
members = st.sampled_from(MEMBERS.split())
