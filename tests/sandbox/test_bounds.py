"""Memory stays bounded: what is kept, and what falls out first."""

from __future__ import annotations

import json
from typing import Any

from otp_service.sandbox import handsets, messages
from otp_service.sandbox.handsets import Handsets, Item
from otp_service.sandbox.journal import Journal
from otp_service.sandbox.messages import Message, Messages, Recipient
from otp_service.sandbox.texts import measure
from otp_service.sandbox.timeline import Timeline
from tests.sandbox.conftest import ManualClock, eventually


def _listed(journal: Journal) -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(b"".join(journal.stream()))
    return listed


def test_the_journal_keeps_the_latest_and_counts_the_rest() -> None:
    """Beyond its bounds, of requests or of bytes, the oldest entries go, and `dropped` says how many."""
    journal = Journal(ManualClock(), max_requests=3, max_body_bytes=10)
    for body in (b"1", b"2", b"3", b"4"):
        journal.open("POST", "/v2/messages", "", [], body)
    assert [entry["body"] for entry in _listed(journal)["requests"]] == [2, 3, 4]
    journal.open("POST", "/v2/messages", "", [], b'"56789ab"')
    listed = _listed(journal)
    assert [entry["body"] for entry in listed["requests"]] == [4, "56789ab"]
    assert listed["dropped"] == 3


def test_the_journal_survives_any_depth() -> None:
    """A body nested as deeply as can be read is listed, as JSON or as text."""
    journal = Journal(ManualClock())
    for depth in (10, 900, 990, 995, 2_000, 100_000):
        journal.open("POST", "/v2/messages", "", [], b"[" * depth + b"]" * depth)
    assert len(_listed(journal)["requests"]) == 6


def test_messages_fall_out_at_the_old_end() -> None:
    """The store of messages forgets the oldest first."""
    clock = ManualClock()
    store = Messages(clock, limit=2)
    kept = [
        Message("SMS", "p", "+18445550001", "tollfree", [Recipient("+1", "queued")], "x", measure("x"), clock.now())
        for _ in range(3)
    ]
    store.add(*kept)
    assert [store.get(message.id) is not None for message in kept] == [False, True, True]
    assert messages.MAX_MESSAGES == 100_000


def test_handsets_are_bounded_each_and_together() -> None:
    """A phone keeps its latest items; all phones together too, and an emptied phone is forgotten."""
    phones = Handsets(max_per_phone=3, max_in_all=5)
    for i in range(5):
        phones.put("+11", Item(str(i), "+18445550001", "x", 0.0, "delivered"))
    assert [item.id for item in phones.inbox("+11")] == ["4", "3", "2"]
    for i in range(5, 10):
        phones.put("+12", Item(str(i), "+18445550001", "x", 0.0, "delivered"))
    total = len(phones.inbox("+11")) + len(phones.inbox("+12"))
    assert total <= 5
    assert phones.inbox("+12")[0].id == "9"
    for i in range(20):
        phones.put(f"+2{i}", Item(str(i), "+18445550001", "x", 0.0, "delivered"))
    assert len(phones.overview(phones=100, items=10)["phones"]) == 5
    assert (handsets.MAX_PER_PHONE, handsets.MAX_IN_ALL) == (1_000, 100_000)


def test_one_bad_action_does_not_stop_time() -> None:
    """An action that raises is dropped, those after it run, in order of their moments."""
    clock = ManualClock()
    timeline = Timeline(clock)
    ran: list[int] = []

    def bad() -> None:
        raise RuntimeError("boom")

    timeline.after(3, lambda: ran.append(3))
    timeline.after(1, bad)
    timeline.after(2, lambda: ran.append(2))
    clock.advance(10)
    timeline.poke()
    eventually(lambda: ran == [2, 3])
    timeline.close()
