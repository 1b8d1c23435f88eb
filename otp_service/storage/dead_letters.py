"""Outbox entries and timers that nobody can read are set aside, for a person to look at."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import telemetry
from ..domain.errors import NotReady, StoreUnavailable
from ..domain.ids import Ids
from .answering import answering
from .keyrings import Keyrings
from .schema import Keys
from .schema.fields import ConsumerGroup
from .schema.fields import DeadLetter as Field
from .scripts import Scripts
from .store import Store

MOST_KEPT = 10_000
"""Dead letters of a shard; older ones are dropped."""

SHOWN = 200
"""Characters of an entry that are shown to a person."""

_log = logging.getLogger("otp.outbox")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An outbox entry or a timer that was set aside. `kind`: which of both; `text`: what stood there."""

    shard: int
    entry: str
    kind: str
    text: str

    @property
    def id(self) -> str:
        """The name of the letter for commands: shard and entry of the stream."""
        return f"s{self.shard:02x}/{self.entry}"

    @property
    def at_ms(self) -> int:
        """When it was set aside, in Unix milliseconds of the store's clock."""
        return int(self.entry.partition("-")[0])


class DeadLetters:
    """What nobody can read must not be read again for ever, nor delay other entries. Methods raise StoreUnavailable.

    To a process with a foreign index key everything looks unreadable: it sets nothing aside.
    """

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids) -> None:
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._keyrings = Keyrings(store, keys)
        self._fingerprint = ids.fingerprint

    def set_aside(self, unreadable: Sequence[str], move: Callable[[str], None], *, alone: bool) -> None:
        """Move each. What cannot be moved stays; it raises only if it came `alone`, so that it delays nothing else."""
        for one in unreadable:
            try:
                move(one)
            except StoreUnavailable:
                if alone:
                    raise
                _log.warning("this cannot be read, nor set aside")

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

    # ---- for a person ----------------------------------------------------------------------------------------------

    def list(self) -> list[DeadLetter]:
        """All of them, shard by shard, oldest first. Raises StoreUnavailable if a shard does not answer."""
        found = []
        for shard in range(self._keys.shards):
            with answering():
                letters: Any = self._client.xrange(self._keys.dead(shard))
            found += [_letter(shard, entry, fields) for entry, fields in letters]
        return found

    def replay(self, letters: Sequence[DeadLetter]) -> int:
        """Give these to the workers again; how many it were. What still cannot be read is set aside again."""
        return sum(self._replay(letter) for letter in letters)

    def _replay(self, letter: DeadLetter) -> int:
        k, shard = self._keys, letter.shard
        keys = {"dead": k.dead(shard), "outbox": k.outbox(shard), "timers": k.timers(shard)}
        return int(self._scripts.call("delivery/replay_dead", keys, letter=letter.entry))

    # ---- whose the store is ----------------------------------------------------------------------------------------

    def _require_own_store(self) -> None:
        try:
            self._keyrings.require(self._fingerprint)
        except NotReady as error:
            _log.error("nothing is taken from this store", extra={"reason": error.detail})
            raise StoreUnavailable("The store belongs to another keyring.") from error

    def _report(self, kind: str, shard: int) -> None:
        telemetry.OUTBOX_DEAD.labels(kind).inc()
        _log.error("nobody can read this; it was set aside", extra={"kind": kind, "where": self._keys.dead(shard)})


def _letter(shard: int, entry: str, fields: Mapping[str, str]) -> DeadLetter:
    if Field.TIMER in fields:
        return DeadLetter(shard, entry, "timer", fields[Field.TIMER])
    rest = [f"{name}={value}" for name, value in fields.items() if name != Field.ENTRY]
    return DeadLetter(shard, entry, "entry", " ".join(rest)[:SHOWN])
