"""Bulk orders: assign many numbers to a profile, one after the other, so that a client can poll the progress.

At first all numbers are pending. One is processed every 30 ms, or faster so that the order takes two seconds at
most: `success` if it is the account's, else `failed`. Bounded: 1,000 numbers in an order, and the latest 10,000
orders.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from otp_service.sandbox.messages import new_id
from otp_service.sandbox.numbers import Numbers
from otp_service.sandbox.scheduler import Scheduler

MAX_NUMBERS = 1_000
MAX_ORDERS = 10_000
_STEP_S = 0.03
_MAX_ORDER_S = 2.0


@dataclass(slots=True)
class Order:
    """One bulk update; `profile_id` None removes the numbers from their profiles."""

    profile_id: str | None
    pending: list[str]
    id: str = field(default_factory=new_id)
    success: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class BulkOrders:
    """The orders of the account."""

    def __init__(self, numbers: Numbers, scheduler: Scheduler) -> None:
        self._numbers = numbers
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._orders: OrderedDict[str, Order] = OrderedDict()

    def create(self, profile_id: str | None, addresses: Sequence[str]) -> dict[str, Any]:
        """Create an order with all numbers pending."""
        order = Order(profile_id, list(dict.fromkeys(addresses)))
        with self._lock:
            self._orders[order.id] = order
            while len(self._orders) > MAX_ORDERS:
                self._orders.popitem(last=False)
            created = _to_json(order)
        step = min(_STEP_S, _MAX_ORDER_S / len(order.pending))
        self._scheduler.run_after(step, lambda: self._process_next(order, step))
        return created

    def show(self, order_id: str) -> dict[str, Any] | None:
        """The state of an order, or None if it is unknown."""
        with self._lock:
            order = self._orders.get(order_id)
            return None if order is None else _to_json(order)

    def reset(self) -> None:
        """Forget all orders."""
        with self._lock:
            self._orders.clear()

    def _process_next(self, order: Order, step: float) -> None:
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
            self._scheduler.run_after(step, lambda: self._process_next(order, step))


def _to_json(order: Order) -> dict[str, Any]:
    return {
        "record_type": "messaging_numbers_bulk_update",
        "order_id": order.id,
        "success": list(order.success),
        "pending": list(order.pending),
        "failed": list(order.failed),
    }
