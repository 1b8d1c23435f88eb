"""The events that webhooks carry, and forged versions of them that the service must reject."""

from __future__ import annotations

from typing import Any

from otp_service.sandbox.clock import rfc3339
from otp_service.sandbox.errors import TITLES
from otp_service.sandbox.message_json import message_json
from otp_service.sandbox.messages import Message, new_id


def message_event(event_type: str, message: Message, now: float) -> dict[str, Any]:
    """The `data` of an event about `message` in its present state."""
    return {
        "event_type": event_type,
        "id": new_id(),
        "occurred_at": rfc3339(now, zulu=False),
        "payload": message_json(message, webhook=True),
        "record_type": "event",
    }


def click_event(phone: str, message_id: str, url: str, now: float) -> dict[str, Any]:
    """The `data` of a click on a shortened link. It has no event type and no id."""
    return {
        "record_type": "link_clicked",
        "message_id": message_id,
        "time_clicked": rfc3339(now),
        "to": phone.removeprefix("+"),
        "url": url,
    }


def forged_delivery(event: dict[str, Any], outcome: str) -> dict[str, Any]:
    """The event with the opposite outcome: failed instead of delivered, or delivered instead of failed."""
    failed = outcome in {"delivery_failed", "sending_failed"}
    payload = dict(event["payload"])
    status = "delivered" if failed else "delivery_failed"
    payload["to"] = [{**recipient, "status": status} for recipient in payload["to"]]
    payload["completed_at"] = event["occurred_at"]
    payload["errors"] = (
        [] if failed else [{"code": "40008", "title": TITLES["40008"], "detail": "The message was not delivered."}]
    )
    return {**event, "event_type": "message.finalized", "payload": payload}


def forged_reply(event: dict[str, Any]) -> dict[str, Any]:
    """The event with the opposite consent: START if the person sent STOP, STOP otherwise."""
    word = "START" if event["payload"]["autoresponse_type"] == "STOP" else "STOP"
    return {**event, "payload": {**event["payload"], "text": word, "autoresponse_type": word}}
