"""The phones: what lies in each person's inbox, and what they wrote back.

Bounded: the latest 1,000 items of a phone and 100,000 in all. `changes` counts every change, so that a page can
wait for the next one instead of asking again and again.
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
class Item:
    """One bubble; `outgoing` is what the person wrote."""

    id: str
    other: str
    text: str
    at: float
    status: str
    outgoing: bool = False
    kind: str = "SMS"

    def to_json(self) -> dict[str, Any]:
        """As listed in the inbox."""
        return {
            "id": self.id,
            "from": self.other,
            "text": self.text,
            "received_at": rfc3339(self.at),
            "status": self.status,
        }

    def to_bubble(self) -> dict[str, Any]:
        """As the phones page shows it."""
        listed = {**self.to_json(), "outgoing": self.outgoing, "kind": self.kind}
        listed["with"] = listed.pop("from")
        return listed


class Handsets:
    """All phones that ever got or sent anything."""

    def __init__(self, *, max_per_phone: int = MAX_PER_PHONE, max_in_all: int = MAX_IN_ALL) -> None:
        self._max_per_phone = max_per_phone
        self._max_in_all = max_in_all
        self._changed = threading.Condition()
        self._phones: OrderedDict[str, deque[Item]] = OrderedDict()
        self._arrivals: deque[str] = deque()
        self._arrived: dict[str, int] = {}
        self._changes = 0

    def put(self, phone: str, item: Item) -> None:
        """An item arrives on, or leaves from, `phone`."""
        with self._changed:
            items = self._phones.setdefault(phone, deque())
            self._phones.move_to_end(phone)
            items.append(item)
            self._arrived[phone] = self._arrived.get(phone, 0) + (not item.outgoing)
            self._arrivals.append(phone)
            if len(items) > self._max_per_phone:
                items.popleft()
            # Every arrival has one entry in the queue, so what is over the total is at most one item a time;
            # an entry whose item has already left its phone's own bound finds a younger one, which is close.
            if len(self._arrivals) > self._max_in_all:
                self._forget_one(self._arrivals.popleft())
            self._bump()

    def inbox(self, phone: str) -> list[Item]:
        """What arrived on `phone`, newest first."""
        with self._changed:
            return [item for item in reversed(self._phones.get(phone, ())) if not item.outgoing]

    def last_written(self, phone: str, to: str) -> float | None:
        """When the person last wrote to the number `to`, if ever."""
        with self._changed:
            items = reversed(self._phones.get(phone, ()))
            return next((item.at for item in items if item.outgoing and item.other == to), None)

    def overview(self, *, phones: int, items: int) -> dict[str, Any]:
        """The latest phones with their latest items, for the page."""
        with self._changed:
            latest = [number for number, _ in zip(reversed(self._phones), range(phones), strict=False)]
            return {
                "version": self._changes,
                "phones": [
                    {
                        "number": number,
                        "arrived": self._arrived[number],
                        "messages": [item.to_bubble() for item in list(self._phones[number])[-items:]],
                    }
                    for number in latest
                ],
            }

    def wait(self, seen: int, timeout_s: float) -> int:
        """The number of changes so far, as soon as it differs from `seen` or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, timeout_s)
            return self._changes

    def wake(self) -> None:
        """End every wait: there is nothing to wait for any more."""
        with self._changed:
            self._bump()

    def reset(self) -> None:
        """Forget all phones."""
        with self._changed:
            self._phones.clear()
            self._arrived.clear()
            self._arrivals.clear()
            self._bump()

    def _forget_one(self, phone: str) -> None:
        items = self._phones.get(phone)
        if items:
            items.popleft()
        if not items:
            self._phones.pop(phone, None)
            self._arrived.pop(phone, None)

    def _bump(self) -> None:
        self._changes += 1
        self._changed.notify_all()
