"""What is due later: a sorted set of timers for each shard, so that no wait is lost with a process."""

from collections.abc import Sequence

from ..domain.ids import Ids, Reference
from ..domain.outbox import Timer, TimerKind
from .answering import answering, answers
from .dead_letters import DeadLetters
from .schema import Keys
from .schema.encodings import TimerEntry
from .scripts import Scripts
from .store import Store

_OF_A_DELIVERY = frozenset(TimerKind) - {TimerKind.EXPIRY}


class Timers:
    """The timers of all shards."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids) -> None:
        self._store = store
        self._client = store.client
        self._keys = keys
        self._ids = ids
        self._dead_letters = DeadLetters(store, scripts, keys, ids)

    def due(self, count: int) -> list[Timer]:
        """Timers whose time has come, of all shards that answer. Raises StoreUnavailable if none does."""
        timers = [self._keys.timers(shard) for shard in range(self._keys.shards)]
        clocks = self._store.times_ms(timers)
        # Of a shard whose clock is not known nothing is due. It is read all the same, in case all are dead.
        until = [-1 if now_ms is None else now_ms for now_ms in clocks]
        commands = zip(timers, until, strict=True)
        found = self._store.gather([("ZRANGEBYSCORE", name, "-inf", ms, "LIMIT", 0, count) for name, ms in commands])
        return [due for shard, members in enumerate(answers(found)) for due in self._parse_all(shard, members or [])]

    def _parse_all(self, shard: int, members: Sequence[str]) -> list[Timer]:
        due = []
        for member in members:
            timer = self._parse(shard, member)
            if timer is None:
                # Left where it is, it would be the first of every read, and a hundred of them all that is read.
                self._dead_letters.set_aside_timer(shard, member)
            else:
                due.append(timer)
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
        ref = due.reference
        name = ref.token if due.kind == TimerKind.EXPIRY else ref.delivery_id(due.ordinal)
        at_ms = self._store.time_ms(self._keys.timers(due.shard)) + wait_ms
        with answering():
            self._client.zadd(self._keys.timers(due.shard), {TimerEntry.pack(due.kind, name): at_ms}, xx=True)

    def bring_forward(self, dues: Sequence[Timer]) -> None:
        """Let other workers attend to timers at once that this one has claimed. Raises StoreUnavailable."""
        for due in dues:
            name, timers = due.reference.delivery_id(due.ordinal), self._keys.timers(due.shard)
            with answering():
                self._client.zadd(timers, {TimerEntry.pack(due.kind, name): self._store.time_ms(timers)})

    def is_paused(self, shard: int) -> bool:
        """Whether the shard did not answer a moment ago, so that reading it again would only cost time."""
        return self._store.is_paused(self._keys.timers(shard))
