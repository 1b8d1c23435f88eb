"""How senders fare: our own deliveries of the last hour, and the ratios that the carrier reports for their numbers.

Figures for choosing a sender, not for the record: a count lost in a crash changes no decision that matters. Those of a
dead shard of a Cluster are missing.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.errors import StoreUnavailable
from ..domain.routing import Health
from .answering import answering, answers
from .schema import Keys
from .schema.encodings import SenderRatios
from .schema.fields import SenderResult
from .scripts import Scripts
from .store import Store

PERIOD_MS = 300_000
PERIODS = 12
KNOWN_FOR_S = 5.0
ASK_EVERY_MS = 600_000
REPORT_TTL_MS = 3_600_000


class SenderStats:
    """The figures of one store. Safe for many threads. Every method raises StoreUnavailable if nothing answers."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._known: dict[str, tuple[float, Health]] = {}

    def record_result(self, sender: str, *, delivered: bool) -> None:
        """One delivery of the sender has ended."""
        result = SenderResult.DELIVERED if delivered else SenderResult.FAILED
        keys = {"sender_stats": self._keys.sender_stats(sender)}
        try:
            self._scripts.call(
                "sender/count_result", keys, repeat=False, result=result, period_ms=PERIOD_MS, periods=PERIODS
            )
        except StoreUnavailable:
            if not self._store.is_cluster:
                raise

    def health(self, senders: Sequence[str]) -> Mapping[str, Health]:
        """How the senders fare, as of a few seconds ago."""
        now = time.monotonic()
        stale = [name for name in senders if now - self._known.get(name, (-KNOWN_FOR_S, None))[0] >= KNOWN_FOR_S]
        if stale:
            self._refresh(stale, now)
        return {name: self._known[name][1] for name in senders}

    def _refresh(self, senders: Sequence[str], now: float) -> None:
        commands: list[tuple[str, ...]] = [("HGETALL", self._keys.sender_stats(name)) for name in senders]
        commands.append(("HMGET", self._keys.sender_health(), *senders))
        *counts, reports = answers(self._store.gather(commands))
        for name, count, report in zip(senders, counts, reports or [None] * len(senders), strict=True):
            self._known[name] = (now, _health(count or {}, report))

    def claim_health_poll(self) -> bool:
        """Whether it is time to ask the carrier for its ratios, and this call is the first to notice."""
        with answering():
            return bool(self._client.set(self._keys.health_pause(), "1", nx=True, px=ASK_EVERY_MS))

    def record_health(self, reports: Mapping[str, tuple[float | None, float | None]]) -> None:
        """What the carrier says of the senders: success ratio and spam ratio, 0 to 1."""
        if not reports:
            return
        fields: Any = {name: SenderRatios.pack(*map(_ratio_text, pair)) for name, pair in reports.items()}
        with answering(), self._client.pipeline(transaction=False) as pipe:
            pipe.hset(self._keys.sender_health(), mapping=fields)
            pipe.pexpire(self._keys.sender_health(), REPORT_TTL_MS)
            pipe.execute()


def _health(counts: Mapping[str, str], report: str | None) -> Health:
    success, spam = SenderRatios.parse(report) if report else ("", "")
    delivered, failed = (_total(counts, result) for result in (SenderResult.DELIVERED, SenderResult.FAILED))
    return Health(delivered, failed, float(success) if success else None, float(spam) if spam else None)


def _total(counts: Mapping[str, str], result: str) -> int:
    return sum(int(count) for field, count in counts.items() if field.startswith(result))


def _ratio_text(ratio: float | None) -> str:
    return "" if ratio is None else str(ratio)
