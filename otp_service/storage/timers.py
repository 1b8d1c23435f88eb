"""What is due later: a sorted set of timers for each shard, so that no wait is lost with a process."""

import contextlib
from collections.abc import Sequence
from functools import partial

from ..domain.errors import StoreUnavailable
from ..domain.ids import Ids, Reference
from ..domain.outbox import Timer, TimerKind
from .answering import answering, answers
from .dead_letters import DeadLetters
from .schema import Keys
from .schema.encodings import TimerEntry
from .scripts import Scripts
from .store import Store

CLOCK_PLAY_MS = 1_000
"""What the store's clock may be set back without a word: no wait becomes much longer by it."""

SAME_STEP_MS = 10_000
"""Workers see one and the same step of the clock within this time."""

_OF_A_DELIVERY = frozenset(TimerKind) - {TimerKind.EXPIRY}


class Timers:
    """The timers of all shards."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids) -> None:
        self._store = store
        self._scripts = scripts
        self._client = store.client
        self._keys = keys
        self._ids = ids
        self._dead_letters = DeadLetters(store, scripts, keys, ids)
        self._seen_ms: dict[int, int] = {}

    def due(self, count: int) -> list[Timer]:
        """Timers whose time has come, of all shards that answer. Raises StoreUnavailable if none does.

        Where the store's clock was set back since the last call, they come as much sooner.
        """
        timers = [self._keys.timers(shard) for shard in range(self._keys.shards)]
        clocks = self._store.times_ms(timers)
        self._follow(clocks)
        # Of a shard whose clock is not known nothing is due. It is read all the same, in case all are dead.
        until = [-1 if now_ms is None else now_ms for now_ms in clocks]
        commands = zip(timers, until, strict=True)
        found = self._store.gather([("ZRANGEBYSCORE", name, "-inf", ms, "LIMIT", 0, count) for name, ms in commands])
        return [due for shard, members in enumerate(answers(found)) for due in self._parse_all(shard, members or [])]

    def _follow(self, clocks: Sequence[int | None]) -> None:
        for shard, now_ms in enumerate(clocks):
            if now_ms is None:
                continue
            seen_ms = self._seen_ms.get(shard, now_ms)
            # A shard that dies just now stops no other one; its step is followed when it answers.
            with contextlib.suppress(StoreUnavailable):
                if now_ms + CLOCK_PLAY_MS < seen_ms:
                    keys = {"timers": self._keys.timers(shard), "clock_step": self._keys.clock_step(shard)}
                    self._scripts.call("delivery/follow_clock", keys, seen_ms=seen_ms, same_step_ms=SAME_STEP_MS)
                self._seen_ms[shard] = now_ms

    def _parse_all(self, shard: int, members: Sequence[str]) -> list[Timer]:
        parsed = [(member, self._parse(shard, member)) for member in members]
        due = [timer for _, timer in parsed if timer is not None]
        # Left where they are, they would be the first of every read, and a hundred of them all that is read.
        unreadable = [member for member, timer in parsed if timer is None]
        self._dead_letters.set_aside(unreadable, partial(self._dead_letters.set_aside_timer, shard), alone=not due)
        return due

    def _parse(self, shard: int, member: str) -> Timer | None:
        kind, _, name = member.partition(TimerEntry.separator)
        named = self._subject(kind, name)
        if named is None or self._keys.shard(named[0].number_hash) != shard:
            return None
        return Timer(shard, kind, *named)

    def _subject(self, kind: str, name: str) -> tuple[Reference, int] | None:
        if kind == TimerKind.EXPIRY:
            ref = self._ids.read_token(name)
            return (ref, 0) if ref else None
        return self._ids.read_delivery(name) if kind in _OF_A_DELIVERY else None

    def put_off(self, due: Timer, wait_ms: int) -> None:
        """Let a timer that cannot be attended to come again later. Raises StoreUnavailable."""
        at_ms = self._store.time_ms(self._keys.timers(due.shard)) + wait_ms
        with answering():
            self._client.zadd(self._keys.timers(due.shard), {_name(due): at_ms}, xx=True)

    def come_sooner(self, timers: Sequence[tuple[Timer, int]]) -> None:
        """Let timers that are set come in so many milliseconds, if that is sooner. Raises StoreUnavailable."""
        for shard in {timer.shard for timer, _ in timers}:
            key = self._keys.timers(shard)
            now_ms = self._store.time_ms(key)
            due = {_name(timer): now_ms + in_ms for timer, in_ms in timers if timer.shard == shard}
            with answering():
                self._client.zadd(key, due, xx=True, lt=True)

    def bring_forward(self, dues: Sequence[Timer]) -> None:
        """Let other workers attend to timers at once that this one has claimed. Raises StoreUnavailable."""
        for due in dues:
            timers = self._keys.timers(due.shard)
            with answering():
                self._client.zadd(timers, {_name(due): self._store.time_ms(timers)})

    def is_paused(self, shard: int) -> bool:
        """Whether the shard did not answer a moment ago, so that reading it again would only cost time."""
        return self._store.is_paused(self._keys.timers(shard))


def _name(timer: Timer) -> str:
    ref = timer.reference
    name = ref.token if timer.kind == TimerKind.EXPIRY else ref.delivery_id(timer.ordinal)
    return TimerEntry.pack(timer.kind, name)
