"""Callbacks: their queues, and the apps' own endpoints."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ...domain.callback import Answer, Callback


class CallbackQueue(Protocol):
    """Callbacks that wait to be sent, a queue for each app."""

    def put(self, callback: Callback) -> str:
        """Queue it: `queued`, `full` (another became a dead letter for it) or `known` (it is queued already)."""
        ...

    def announce(self, apps: Sequence[str]) -> frozenset[str]:
        """Say that this process sends callbacks to these apps; those that any process has announced lately."""
        ...

    def due(self, apps: Sequence[str]) -> Mapping[str, int]:
        """How many callbacks of each app could be sent now; apps that have none are left out."""
        ...

    def claim(self, app: str) -> Callback | None:
        """The next callback to send; it comes again unless its outcome is recorded."""
        ...

    def record_sent(self, callback: Callback) -> bool:
        """It arrived. False if it was no longer there."""
        ...

    def schedule_retry(self, callback: Callback, wait_ms: int, pause_ms: int, reason: str) -> bool:
        """Try again after a wait; for `pause_ms` the app gets nothing."""
        ...

    def dead_letter(self, callback: Callback, pause_ms: int, reason: str) -> bool:
        """Make it a dead letter; for `pause_ms` the app gets nothing."""
        ...


class Receivers(Protocol):
    """The apps' own endpoints."""

    def post(self, callback: Callback) -> Answer:
        """Try once to send it. Never raises for what the receiver, its name server or the network does."""
        ...
