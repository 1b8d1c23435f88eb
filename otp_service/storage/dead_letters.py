"""Outbox entries and timers that nobody can read are set aside, for a person to look at."""

import logging

from .. import telemetry
from ..domain.errors import NotReady, StoreUnavailable
from ..domain.ids import Ids
from .keyrings import Keyrings
from .schema import Keys
from .schema.fields import ConsumerGroup
from .scripts import Scripts
from .store import Store

MOST_KEPT = 10_000
"""Dead letters of a shard; older ones are dropped."""

_log = logging.getLogger("otp.outbox")


class DeadLetters:
    """What nobody can read must not be read again for ever, nor delay other entries. Methods raise StoreUnavailable.

    To a process with a foreign index key everything looks unreadable: it sets nothing aside.
    """

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids) -> None:
        self._scripts = scripts
        self._keys = keys
        self._keyrings = Keyrings(store, keys)
        self._fingerprint = ids.fingerprint

    def set_aside_entry(self, shard: int, entry: str) -> None:
        """Move an outbox entry to the dead letters."""
        self._require_own_store()
        keys = {"outbox": self._keys.outbox(shard), "dead": self._keys.dead(shard)}
        moved = self._scripts.call(
            "delivery/set_aside_entry", keys, group=ConsumerGroup.WORKERS, entry=entry, most_kept=MOST_KEPT
        )
        if moved:
            self._report("entry", shard)

    def set_aside_timer(self, shard: int, timer: str) -> None:
        """Move a timer to the dead letters."""
        self._require_own_store()
        keys = {"timers": self._keys.timers(shard), "dead": self._keys.dead(shard)}
        if self._scripts.call("delivery/set_aside_timer", keys, timer=timer, most_kept=MOST_KEPT):
            self._report("timer", shard)

    def _require_own_store(self) -> None:
        try:
            self._keyrings.require(self._fingerprint)
        except NotReady as error:
            _log.error("nothing is taken from this store", extra={"reason": error.detail})
            raise StoreUnavailable("The store belongs to another keyring.") from error

    def _report(self, kind: str, shard: int) -> None:
        telemetry.OUTBOX_DEAD.labels(kind).inc()
        _log.error("nobody can read this; it was set aside", extra={"kind": kind, "where": self._keys.dead(shard)})
