"""Messages as resources: what is kept of one, how it is spelled, and for how long it can be looked up.

Bounded: the latest 100,000 messages. A message older than ten days is not found, as at the carrier.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from otp_service.sandbox.clock import Clock, rfc3339
from otp_service.sandbox.errors import error_item
from otp_service.sandbox.seeds import ORGANIZATION_ID
from otp_service.sandbox.texts import Segments

MAX_MESSAGES = 100_000
LOOKUP_S = 10 * 24 * 3600
QUEUE_LIFE_S = 4 * 3600

FINAL = frozenset({"delivered", "delivery_failed", "sending_failed", "delivery_unconfirmed", "cancelled", "expired"})


# Ids must be unique, not secret, and this is several times faster than asking the system each time.
_random = random.Random()  # noqa: S311


def new_id() -> str:
    """A fresh resource id."""
    return str(uuid.UUID(int=_random.getrandbits(128), version=4))


@dataclass(slots=True)
class Recipient:
    """One number a message goes to, and how far it got there."""

    phone_number: str
    status: str


@dataclass(slots=True)
class Message:
    """One message of either direction. `sender_kind` is a number's kind, `alphanumeric` or `handset`."""

    type: str
    profile_id: str
    sender: str
    sender_kind: str
    to: list[Recipient]
    text: str
    segments: Segments
    received_at: float
    id: str = field(default_factory=new_id)
    direction: str = "outbound"
    subject: str | None = None
    media_urls: tuple[str, ...] = ()
    webhook_url: str | None = None
    webhook_failover_url: str | None = None
    use_profile_webhooks: bool = True
    wait_seconds: float = 0.0
    send_at: float | None = None
    sent_at: float | None = None
    completed_at: float | None = None
    valid_until: float | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    group_message_id: str | None = None
    whatsapp: Mapping[str, Any] | None = None
    autoresponse_type: str | None = None

    @property
    def status(self) -> str:
        """The status of the (first) recipient."""
        return self.to[0].status

    def fail(self, code: str, detail: str) -> None:
        """Note why it failed."""
        self.errors = [error_item(code, detail, pointer="/to/0/phone_number")]

    def to_json(self, *, webhook: bool = False) -> dict[str, Any]:
        """The resource as an answer gives it, or as a webhook carries it (another spelling of time)."""

        def stamp(at: float | None) -> str | None:
            return None if at is None else rfc3339(at, zulu=not webhook)

        if self.direction == "inbound":
            return self._inbound(stamp(self.received_at))
        resource: dict[str, Any] = {
            "record_type": "message",
            "direction": "outbound",
            "id": self.id,
            "type": self.type,
            "messaging_profile_id": self.profile_id,
            "organization_id": ORGANIZATION_ID,
            "from": {"phone_number": self.sender, "carrier": "TELNYX LLC", "line_type": "VoIP"},
            "to": [_recipient(recipient) for recipient in self.to],
            "received_at": stamp(self.received_at),
            "wait_seconds": self.wait_seconds,
        }
        if self.whatsapp is not None:
            resource |= {"encoding": "utf-8", "body": self.whatsapp}
            if not webhook:
                return resource
        resource |= {
            "cc": [],
            "subject": self.subject,
            "media": [{"url": url, "content_type": None, "sha256": None, "size": None} for url in self.media_urls],
            "webhook_url": self.webhook_url,
            "webhook_failover_url": self.webhook_failover_url,
            "tags": [],
            "tcr_campaign_id": None,
            "tcr_campaign_billable": False,
            "tcr_campaign_registered": None,
            "sent_at": stamp(self.sent_at),
            "completed_at": stamp(self.completed_at),
            "valid_until": stamp(self.valid_until),
            "errors": list(self.errors),
        }
        if self.whatsapp is None:
            resource |= {
                "text": self.text,
                "encoding": self.segments.encoding,
                "parts": self.segments.parts,
                "num_chars": len(self.text),
                "smart_encoding_applied": False,
                **self._costs(),
            }
        if self.send_at is not None:
            resource["send_at"] = stamp(self.send_at)
        if self.group_message_id is not None:
            resource["group_message_id"] = self.group_message_id
        return resource

    def _costs(self) -> dict[str, Any]:
        if self.status == "cancelled":
            return {"cost": {"amount": "0.0", "currency": "USD"}, "cost_breakdown": None}
        units = self.segments.parts if self.type == "SMS" else len(self.to)
        rate, fee = ("0.00205", "0.00305") if self.type == "SMS" else ("0.015", "0.005")
        return {
            "cost": _money((Decimal(rate) + Decimal(fee)) * units),
            "cost_breakdown": {
                "carrier_fee": _money(Decimal(fee) * units),
                "rate": _money(Decimal(rate) * units),
            },
        }

    def _inbound(self, received_at: str | None) -> dict[str, Any]:
        return {
            "record_type": "message",
            "direction": "inbound",
            "id": self.id,
            "type": self.type,
            "messaging_profile_id": self.profile_id,
            "organization_id": ORGANIZATION_ID,
            "from": {"phone_number": self.sender, "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"},
            "to": [
                {
                    "phone_number": recipient.phone_number,
                    "status": recipient.status,
                    "carrier": "Telnyx",
                    "line_type": "Wireless",
                }
                for recipient in self.to
            ],
            "cc": [],
            "text": self.text,
            "subject": "",
            "media": [],
            "encoding": self.segments.encoding,
            "parts": self.segments.parts,
            "num_chars": len(self.text),
            "is_spam": False,
            "autoresponse_type": self.autoresponse_type,
            "cost": {"amount": "0.0160", "currency": "USD"},
            "cost_breakdown": {
                "carrier_fee": {"amount": "0.01200", "currency": "USD"},
                "rate": {"amount": "0.00400", "currency": "USD"},
            },
            "tags": [],
            "tcr_campaign_id": None,
            "tcr_campaign_billable": False,
            "tcr_campaign_registered": None,
            "received_at": received_at,
            "sent_at": None,
            "completed_at": None,
            "valid_until": None,
            "errors": [],
            "webhook_url": self.webhook_url,
            "webhook_failover_url": None,
        }


def _recipient(recipient: Recipient) -> dict[str, Any]:
    return {
        "phone_number": recipient.phone_number,
        "status": recipient.status,
        "carrier": "T-MOBILE USA, INC.",
        "line_type": "Wireless",
    }


def _money(amount: Decimal) -> dict[str, str]:
    return {"amount": str(amount.normalize()), "currency": "USD"}


class Messages:
    """The latest messages by id. Who changes a message or spells it out holds `lock`."""

    def __init__(self, clock: Clock, *, limit: int = MAX_MESSAGES) -> None:
        self._clock = clock
        self._limit = limit
        self._by_id: OrderedDict[str, Message] = OrderedDict()
        self.lock = threading.RLock()

    def add(self, *messages: Message) -> None:
        """Keep messages, and forget the oldest ones over the bound."""
        with self.lock:
            for message in messages:
                self._by_id[message.id] = message
            while len(self._by_id) > self._limit:
                self._by_id.popitem(last=False)

    def get(self, message_id: str) -> Message | None:
        """The message, unless it is unknown or older than ten days."""
        with self.lock:
            message = self._by_id.get(message_id)
        if message is None:
            return None
        # A scheduled message counts from the moment it is due.
        born = max(message.received_at, message.send_at or 0.0)
        return None if self._clock.now() - born > LOOKUP_S else message

    def reset(self) -> None:
        """Forget all messages."""
        with self.lock:
            self._by_id.clear()
