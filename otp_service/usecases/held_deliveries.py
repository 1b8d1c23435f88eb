"""Deliveries that a breaker made wait: when it closes they go on at once, an interval of the sender's rate apart.

Only what this process has put off is known here. Nothing depends on it: each has its timer in the store, at the time of
the next probe at the latest.
"""

import threading
from collections.abc import Callable

from ..domain.outbox import Job, Timer, TimerKind
from ..domain.policy import Sender
from .sender_health import SenderHealth

MOST = 10_000
"""Of more the rest waits for its timers."""


class HeldDeliveries:
    """What waits, by sender. Safe for many threads. `monotonic` gives seconds."""

    def __init__(self, sender_health: SenderHealth, monotonic: Callable[[], float]) -> None:
        self._sender_health = sender_health
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._senders: dict[str, Sender] = {}
        self._held: dict[str, dict[str, tuple[Timer, float]]] = {}

    def add(self, job: Job, sender: Sender, wait_ms: int) -> None:
        """This delivery waits so long, unless the sender's breaker closes sooner."""
        timer = Timer(job.shard, TimerKind.RETRY, job.reference, job.ordinal)
        with self._lock:
            if sum(map(len, self._held.values())) < MOST:
                self._senders[sender.name] = sender
                held = self._held.setdefault(sender.name, {})
                held[job.delivery_id] = timer, self._monotonic() + wait_ms / 1000

    def released(self) -> list[tuple[Timer, int]]:
        """Those whose sender answers again, each with the milliseconds after which it is to come.

        They are told once. Raises StoreUnavailable.
        """
        return [each for name in list(self._held) for each in self._released_of(self._senders[name])]

    def _released_of(self, sender: Sender) -> list[tuple[Timer, int]]:
        if not self._sender_health.answers(sender):
            return []
        with self._lock:
            held = self._held.pop(sender.name, {})
        now_s = self._monotonic()
        timers = [timer for timer, until_s in held.values() if until_s > now_s]
        return [(timer, int(n * 1000 / sender.rate_per_s)) for n, timer in enumerate(timers)]
