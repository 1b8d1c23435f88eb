"""Bulk orders: put many numbers on a profile, a little at a time, so that progress can be watched.

An order starts with all numbers pending; each is settled in turn, 30 ms apart (an order of any size within two
seconds): `success` if it is the account's, `failed` if not. At most 1,000 numbers an order and 10,000 orders kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from otp_service.sandbox.messages import new_id
from otp_service.sandbox.numbers import Numbers
from otp_service.sandbox.timeline import Timeline

MAX_NUMBERS = 1_000
MAX_ORDERS = 10_000
_STEP_S = 0.03
_WHOLE_S = 2.0


@dataclass(slots=True)
class Order:
    """One bulk update; `profile_id` None takes the numbers off their profiles."""

    profile_id: str | None
    pending: list[str]
    id: str = field(default_factory=new_id)
    success: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class BulkOrders:
    """The orders of the account."""

    def __init__(self, numbers: Numbers, timeline: Timeline) -> None:
        self._numbers = numbers
        self._timeline = timeline
        self._lock = threading.Lock()
        self._orders: OrderedDict[str, Order] = OrderedDict()

    def create(self, profile_id: str | None, addresses: Sequence[str]) -> dict[str, Any]:
        """A new order, everything pending."""
        order = Order(profile_id, list(dict.fromkeys(addresses)))
        with self._lock:
            self._orders[order.id] = order
            while len(self._orders) > MAX_ORDERS:
                self._orders.popitem(last=False)
            answer = _spell(order)
        step = min(_STEP_S, _WHOLE_S / len(order.pending))
        self._timeline.after(step, lambda: self._settle_one(order, step))
        return answer

    def show(self, order_id: str) -> dict[str, Any] | None:
        """How far an order is."""
        with self._lock:
            order = self._orders.get(order_id)
            return None if order is None else _spell(order)

    def reset(self) -> None:
        """Forget all orders."""
        with self._lock:
            self._orders.clear()

    def _settle_one(self, order: Order, step: float) -> None:
        with self._lock:
            address = order.pending.pop(0)
            number = self._numbers.get(address)
            if number is None:
                order.failed.append(address)
            else:
                self._numbers.assign(number, order.profile_id)
                order.success.append(address)
            more = bool(order.pending)
        if more:
            self._timeline.after(step, lambda: self._settle_one(order, step))


def _spell(order: Order) -> dict[str, Any]:
    return {
        "record_type": "messaging_numbers_bulk_update",
        "order_id": order.id,
        "success": list(order.success),
        "pending": list(order.pending),
        "failed": list(order.failed),
    }
