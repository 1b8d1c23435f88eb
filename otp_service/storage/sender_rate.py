"""The senders' rates: evenly spaced slots that all workers share."""

import logging
import time

from ..domain.errors import StoreUnavailable
from ..domain.outbox import LONGEST_SLEEP_MS
from .local_slots import LocalSlots
from .schema import Keys
from .schema.encodings import flag
from .scripts import Scripts
from .store import NODE_PAUSE_S, Store

_log = logging.getLogger("otp.outbox")


class SenderRate:
    """The rates of one store's senders. Safe for many threads."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys
        self._local_slots = LocalSlots()
        self._local_until: dict[str, float] = {}

    def acquire_rate_slot(self, sender: str, rate_per_s: float, patience_ms: int, *, again: bool = False) -> int:
        """Take the sender's next slot: milliseconds to wait, negative if they would be more than `patience_ms`.

        After at most `LONGEST_SLEEP_MS` the message may go. After a longer wait it asks `again`, as one that has
        waited: it may go unless others go at that time, since much of the time may have passed unused.

        While the sender's shard of a Cluster is dead, each process takes slots of its own. Raises StoreUnavailable.
        """
        if time.monotonic() >= self._local_until.get(sender, 0.0):
            try:
                return self._take_shared(sender, rate_per_s, patience_ms, again=again)
            except StoreUnavailable:
                if not self._store.is_cluster:
                    raise
                _log.warning("each process keeps a sender's rate alone", extra={"sender": sender})
                self._local_until[sender] = time.monotonic() + NODE_PAUSE_S
        if again:
            return 0
        return round(1000 * self._local_slots.reserve(sender, 1 / rate_per_s, patience_ms / 1000))

    def _take_shared(self, sender: str, rate_per_s: float, patience_ms: int, *, again: bool) -> int:
        reply = self._scripts.call(
            "sender/take_rate_slot",
            {"sender_rate": self._keys.sender_rate(sender)},
            messages_per_s=str(rate_per_s),
            patience_ms=patience_ms,
            soon_ms=LONGEST_SLEEP_MS,
            again=flag(again),
        )
        return int(reply)
