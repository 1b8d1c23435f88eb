"""The phones: the messages that each person received and sent.

Bounded: the latest 1,000 messages of a phone and 100,000 of all phones. Each change raises a version number, so
that the page can wait for the next change instead of polling.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox.clock import rfc3339

MAX_PER_PHONE = 1_000
MAX_IN_ALL = 100_000


@dataclass(frozen=True, slots=True)
class PhoneMessage:
    """One message on a phone. `other` is the account's number; `outgoing` means that the person sent it."""

    id: str
    other: str
    text: str
    at: float
    status: str
    outgoing: bool = False
    kind: str = "SMS"

    def to_json(self) -> dict[str, Any]:
        """As listed by `GET /sandbox/phones/{number}/messages`."""
        return {
            "id": self.id,
            "from": self.other,
            "text": self.text,
            "received_at": rfc3339(self.at),
            "status": self.status,
        }

    def to_page_json(self) -> dict[str, Any]:
        """As the phones page reads it."""
        listed = {**self.to_json(), "outgoing": self.outgoing, "kind": self.kind}
        listed["with"] = listed.pop("from")
        return listed


class Phones:
    """All phones that received or sent a message."""

    def __init__(self, *, max_per_phone: int = MAX_PER_PHONE, max_in_all: int = MAX_IN_ALL) -> None:
        self._max_per_phone = max_per_phone
        self._max_in_all = max_in_all
        self._changed = threading.Condition()
        self._phones: OrderedDict[str, deque[PhoneMessage]] = OrderedDict()
        self._added_order: deque[str] = deque()
        self._received: dict[str, int] = {}
        self._version = 0

    def add(self, phone: str, message: PhoneMessage) -> None:
        """Add a message to `phone`, and forget the oldest ones over the limits."""
        with self._changed:
            messages = self._phones.setdefault(phone, deque())
            self._phones.move_to_end(phone)
            messages.append(message)
            self._received[phone] = self._received.get(phone, 0) + (not message.outgoing)
            self._added_order.append(phone)
            if len(messages) > self._max_per_phone:
                messages.popleft()
            # Every message adds one entry here, so at most one message is over the total limit at a time. If the
            # limit of its phone removed that message already, a slightly newer one of the phone goes instead.
            if len(self._added_order) > self._max_in_all:
                self._forget_oldest_of(self._added_order.popleft())
            self._notify()

    def received_by(self, phone: str) -> list[PhoneMessage]:
        """The messages that `phone` received, newest first."""
        with self._changed:
            return [message for message in reversed(self._phones.get(phone, ())) if not message.outgoing]

    def last_sent_at(self, phone: str, to: str) -> float | None:
        """When the person last wrote to the number `to`, if ever."""
        with self._changed:
            messages = reversed(self._phones.get(phone, ()))
            return next((message.at for message in messages if message.outgoing and message.other == to), None)

    def overview(self, *, max_phones: int, max_messages: int) -> dict[str, Any]:
        """The most recently used phones with their latest messages, for the page."""
        with self._changed:
            latest = [number for number, _ in zip(reversed(self._phones), range(max_phones), strict=False)]
            return {"version": self._version, "phones": [self._to_json(number, max_messages) for number in latest]}

    def _to_json(self, number: str, max_messages: int) -> dict[str, Any]:
        return {
            "number": number,
            "arrived": self._received[number],
            "messages": [message.to_page_json() for message in list(self._phones[number])[-max_messages:]],
        }

    def wait_for_change(self, seen_version: int, timeout_s: float) -> int:
        """The version, as soon as it differs from `seen_version` or the timeout is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != seen_version, timeout_s)
            return self._version

    def end_waits(self) -> None:
        """Make every `wait_for_change` return."""
        with self._changed:
            self._notify()

    def reset(self) -> None:
        """Forget all phones."""
        with self._changed:
            self._phones.clear()
            self._received.clear()
            self._added_order.clear()
            self._notify()

    def _forget_oldest_of(self, phone: str) -> None:
        messages = self._phones.get(phone)
        if messages:
            messages.popleft()
        if not messages:
            self._phones.pop(phone, None)
            self._received.pop(phone, None)

    def _notify(self) -> None:
        self._version += 1
        self._changed.notify_all()
