"""A message as JSON: in a response, or in the payload of a webhook (which writes times in another format)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from otp_service.sandbox.clock import rfc3339
from otp_service.sandbox.messages import Message, Recipient
from otp_service.sandbox.seeds import ORGANIZATION_ID

_FormatTime = Callable[[float | None], str | None]


def message_json(message: Message, *, webhook: bool = False) -> dict[str, Any]:
    """The message resource as Telnyx's API documents it."""

    def format_time(at: float | None) -> str | None:
        return None if at is None else rfc3339(at, zulu=not webhook)

    if message.direction == "inbound":
        return _inbound(message, format_time)
    if message.whatsapp is None:
        return {**_common(message, format_time), **_details(message, format_time), **_text(message), **_group(message)}
    resource = {**_common(message, format_time), "encoding": "utf-8", "body": message.whatsapp}
    # A response about a WhatsApp message is shorter than its webhooks.
    return {**resource, **_details(message, format_time), **_group(message)} if webhook else resource


def _common(message: Message, format_time: _FormatTime) -> dict[str, Any]:
    return {
        "record_type": "message",
        "direction": "outbound",
        "id": message.id,
        "type": message.type,
        "messaging_profile_id": message.profile_id,
        "organization_id": ORGANIZATION_ID,
        "from": {"phone_number": message.sender, "carrier": "TELNYX LLC", "line_type": "VoIP"},
        "to": [_recipient(recipient, "T-MOBILE USA, INC.") for recipient in message.to],
        "received_at": format_time(message.received_at),
        "wait_seconds": message.wait_seconds,
    }


def _details(message: Message, format_time: _FormatTime) -> dict[str, Any]:
    scheduled = {} if message.send_at is None else {"send_at": format_time(message.send_at)}
    return {
        "cc": [],
        "subject": message.subject,
        "media": [{"url": url, "content_type": None, "sha256": None, "size": None} for url in message.media_urls],
        "webhook_url": message.webhook_url,
        "webhook_failover_url": message.webhook_failover_url,
        "tags": [],
        **_no_campaign(),
        "sent_at": format_time(message.sent_at),
        "completed_at": format_time(message.completed_at),
        "valid_until": format_time(message.valid_until),
        "errors": list(message.errors),
        **scheduled,
    }


def _text(message: Message) -> dict[str, Any]:
    return {
        "text": message.text,
        "encoding": message.segments.encoding,
        "parts": message.segments.parts,
        "num_chars": len(message.text),
        "smart_encoding_applied": False,
        **_costs(message),
    }


def _group(message: Message) -> dict[str, Any]:
    return {} if message.group_message_id is None else {"group_message_id": message.group_message_id}


def _costs(message: Message) -> dict[str, Any]:
    if message.status == "cancelled":
        return {"cost": {"amount": "0.0", "currency": "USD"}, "cost_breakdown": None}
    units = message.segments.parts if message.type == "SMS" else len(message.to)
    rate, fee = ("0.00205", "0.00305") if message.type == "SMS" else ("0.015", "0.005")
    return {
        "cost": _money((Decimal(rate) + Decimal(fee)) * units),
        "cost_breakdown": {"carrier_fee": _money(Decimal(fee) * units), "rate": _money(Decimal(rate) * units)},
    }


def _inbound(message: Message, format_time: _FormatTime) -> dict[str, Any]:
    return {
        "record_type": "message",
        "direction": "inbound",
        "id": message.id,
        "type": message.type,
        "messaging_profile_id": message.profile_id,
        "organization_id": ORGANIZATION_ID,
        "from": {"phone_number": message.sender, "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"},
        "to": [_recipient(recipient, "Telnyx") for recipient in message.to],
        "cc": [],
        "text": message.text,
        "subject": "",
        "media": [],
        "encoding": message.segments.encoding,
        "parts": message.segments.parts,
        "num_chars": len(message.text),
        "is_spam": False,
        "autoresponse_type": message.autoresponse_type,
        "cost": {"amount": "0.0160", "currency": "USD"},
        "cost_breakdown": {
            "carrier_fee": {"amount": "0.01200", "currency": "USD"},
            "rate": {"amount": "0.00400", "currency": "USD"},
        },
        "tags": [],
        **_no_campaign(),
        "received_at": format_time(message.received_at),
        "sent_at": None,
        "completed_at": None,
        "valid_until": None,
        "errors": [],
        "webhook_url": message.webhook_url,
        "webhook_failover_url": None,
    }


def _no_campaign() -> dict[str, Any]:
    return {"tcr_campaign_id": None, "tcr_campaign_billable": False, "tcr_campaign_registered": None}


def _recipient(recipient: Recipient, carrier: str) -> dict[str, Any]:
    return {
        "phone_number": recipient.phone_number,
        "status": recipient.status,
        "carrier": carrier,
        "line_type": "Wireless",
    }


def _money(amount: Decimal) -> dict[str, str]:
    return {"amount": str(amount.normalize()), "currency": "USD"}
