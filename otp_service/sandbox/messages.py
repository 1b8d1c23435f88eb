"""The messages that the sandbox keeps, and for how long they can be retrieved.

Bounded: the latest 100,000 messages. A message older than ten days is not found, as in Telnyx's API.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otp_service.sandbox.clock import Clock
from otp_service.sandbox.errors import error_item
from otp_service.sandbox.texts import Segments

MAX_MESSAGES = 100_000
LOOKUP_S = 10 * 24 * 3600
QUEUE_LIFE_S = 4 * 3600

FINAL = frozenset({"delivered", "delivery_failed", "sending_failed", "delivery_unconfirmed", "cancelled", "expired"})


# Ids must be unique, not secret. This is several times faster than the system's random generator.
_random = random.Random()  # noqa: S311


def new_id() -> str:
    """A new resource id."""
    return str(uuid.UUID(int=_random.getrandbits(128), version=4))


@dataclass(slots=True)
class Recipient:
    """One number that a message goes to, and the delivery status for it."""

    phone_number: str
    status: str


@dataclass(slots=True)
class Message:
    """One message in either direction. `sender_kind` is a number's kind, `alphanumeric`, `whatsapp` or `phone`.

    Times are seconds since the epoch.
    """

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
        """The status for the first recipient."""
        return self.to[0].status

    def set_error(self, code: str, detail: str) -> None:
        """Store why it failed."""
        self.errors = [error_item(code, detail, pointer="/to/0/phone_number")]


class Messages:
    """The latest messages by id. Hold `lock` to change a message or to encode it."""

    def __init__(self, clock: Clock, *, limit: int = MAX_MESSAGES) -> None:
        self._clock = clock
        self._limit = limit
        self._by_id: OrderedDict[str, Message] = OrderedDict()
        self.lock = threading.RLock()

    def add(self, *messages: Message) -> None:
        """Add messages, and forget the oldest ones over the limit."""
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
        # The age of a scheduled message counts from the time it is due.
        since = max(message.received_at, message.send_at or 0.0)
        return None if self._clock.now() - since > LOOKUP_S else message

    def reset(self) -> None:
        """Forget all messages."""
        with self.lock:
            self._by_id.clear()
