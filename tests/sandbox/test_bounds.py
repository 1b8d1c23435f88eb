"""Memory is bounded: what is kept, and what is forgotten first."""

from __future__ import annotations

import json
from typing import Any

from otp_service.sandbox import messages, phones
from otp_service.sandbox.messages import Message, Messages, Recipient
from otp_service.sandbox.phones import PhoneMessage, Phones
from otp_service.sandbox.request_log import RequestLog
from otp_service.sandbox.scheduler import Scheduler
from otp_service.sandbox.texts import measure
from tests.sandbox.conftest import ManualClock, eventually


def _listed(log: RequestLog) -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(b"".join(log.iter_json()))
    return listed


def test_the_request_log_keeps_the_latest_and_counts_the_dropped() -> None:
    """Over its limit of requests or of bytes the oldest requests go, and `dropped` counts them."""
    log = RequestLog(ManualClock(), max_requests=3, max_body_bytes=10)
    for body in (b"1", b"2", b"3", b"4"):
        log.add("POST", "/v2/messages", "", [], body)
    assert [logged["body"] for logged in _listed(log)["requests"]] == [2, 3, 4]
    log.add("POST", "/v2/messages", "", [], b'"56789ab"')
    listed = _listed(log)
    assert [logged["body"] for logged in listed["requests"]] == [4, "56789ab"]
    assert listed["dropped"] == 3


def test_the_request_log_lists_bodies_of_any_depth() -> None:
    """A deeply nested body is listed, as JSON or as text."""
    log = RequestLog(ManualClock())
    for depth in (10, 900, 990, 995, 2_000, 100_000):
        log.add("POST", "/v2/messages", "", [], b"[" * depth + b"]" * depth)
    assert len(_listed(log)["requests"]) == 6


def test_the_oldest_messages_are_forgotten_first() -> None:
    """Over the limit the store of messages forgets the oldest."""
    clock = ManualClock()
    store = Messages(clock, limit=2)
    kept = [
        Message("SMS", "p", "+18445550001", "tollfree", [Recipient("+1", "queued")], "x", measure("x"), clock.now())
        for _ in range(3)
    ]
    store.add(*kept)
    assert [store.get(message.id) is not None for message in kept] == [False, True, True]
    assert messages.MAX_MESSAGES == 100_000


def test_phones_are_bounded_each_and_in_all() -> None:
    """A phone keeps its latest messages, all phones together too, and a phone without messages is forgotten."""
    store = Phones(max_per_phone=3, max_in_all=5)
    for i in range(5):
        store.add("+11", PhoneMessage(str(i), "+18445550001", "x", 0.0, "delivered"))
    assert [message.id for message in store.received_by("+11")] == ["4", "3", "2"]
    for i in range(5, 10):
        store.add("+12", PhoneMessage(str(i), "+18445550001", "x", 0.0, "delivered"))
    total = len(store.received_by("+11")) + len(store.received_by("+12"))
    assert total <= 5
    assert store.received_by("+12")[0].id == "9"
    for i in range(20):
        store.add(f"+2{i}", PhoneMessage(str(i), "+18445550001", "x", 0.0, "delivered"))
    assert len(store.overview(max_phones=100, max_messages=10)["phones"]) == 5
    assert (phones.MAX_PER_PHONE, phones.MAX_IN_ALL) == (1_000, 100_000)


def test_an_action_that_fails_does_not_stop_the_others() -> None:
    """An action that raises is dropped. Those after it run in the order of their times."""
    clock = ManualClock()
    scheduler = Scheduler(clock)
    ran: list[int] = []

    def failing() -> None:
        raise RuntimeError("boom")

    scheduler.run_after(3, lambda: ran.append(3))
    scheduler.run_after(1, failing)
    scheduler.run_after(2, lambda: ran.append(2))
    clock.advance(10)
    scheduler.wake()
    eventually(lambda: ran == [2, 3])
    scheduler.close()
