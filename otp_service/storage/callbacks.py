"""The queues of callbacks to the apps: what waits, who sends it, what died.

One queue for each app, all its keys in one hash slot, so a receiver that is slow or down delays no other app. A claim
is a lease: a worker that dies while sending loses nothing. After its last attempt a callback is a dead letter for a
week and can be replayed. Both are bounded: where too many wait, the one whose next attempt is furthest away (in
practice the one with the most attempts) becomes a dead letter, and where too many are dead, the oldest is dropped.
"""

from collections.abc import Sequence
from typing import Any, cast

from ..domain.callback import Callback, Waiting
from ..domain.retention import Retention
from .answering import answering, answers
from .readiness import clock_ms
from .schema import Keys
from .schema.fields import QueuedCallback, StoreRun
from .scripts import Scripts
from .store import Store

LEASE_MS = 30_000
"""Longer than one attempt can take (see `receivers.client`), a resolver's own patience included."""

MOST_AT_ONCE = 32
"""Callbacks that all workers together send to one app at the same time."""

MOST_WAITING = 10_000
MOST_DEAD = 1_000
DEAD_KEPT_MS = Retention().dead_letters_ms
KNOWN_MS = 3_600_000
"""An event that is read again within this time is not queued again."""

UNCONFIRMED_MS = 1_000
"""A callback that the replicas did not acknowledge in time is claimed again after this."""

ANNOUNCED_MS = 600_000
"""An app that no process has announced for so long gets no callbacks. Longer than a restart of all workers takes."""

_SHOWN = (
    QueuedCallback.TYPE,
    QueuedCallback.VERIFICATION,
    QueuedCallback.ATTEMPTS,
    QueuedCallback.QUEUED,
    QueuedCallback.REASON,
)


class Callbacks:
    """The queues of one store."""

    def __init__(
        self,
        store: Store,
        scripts: Scripts,
        keys: Keys,
        *,
        most_waiting: int = MOST_WAITING,
        most_dead: int = MOST_DEAD,
        lease_ms: int = LEASE_MS,
        dead_kept_ms: int = DEAD_KEPT_MS,
    ) -> None:
        self._store = store
        self._dead_kept_ms = dead_kept_ms
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._most_waiting = most_waiting
        self._most_dead = most_dead
        self._lease_ms = lease_ms

    def put(self, callback: Callback) -> str:
        """Queue it: `queued`, `full` (queued, and another became a dead letter) or `known`. Raises StoreUnavailable."""
        k, app = self._keys, callback.app
        reply = self._scripts.call(
            "callback/put",
            self._queue_keys(app) | {"callback_event": k.callback_event(app, callback.id)},
            id=callback.id,
            event_type=callback.type,
            verification=callback.verification,
            body=callback.body,
            most_due=self._most_waiting,
            known_ms=KNOWN_MS,
            repeat=True,
            **self._dead_letter_limits,
        )
        return str(reply)

    def announce(self, apps: Sequence[str]) -> frozenset[str]:
        """Say that this process sends callbacks to these apps; those of all processes. Raises StoreUnavailable."""
        keys = {"callback_apps": self._keys.callback_apps()}
        return frozenset(self._scripts.call("callback/announce", keys, kept_ms=ANNOUNCED_MS, apps=apps))

    def due(self, apps: Sequence[str]) -> dict[str, int]:
        """How many callbacks of each app could be sent now; apps that have none are left out.

        Raises StoreUnavailable.
        """
        if not apps:
            return {}
        # A hint, so any clock of the store will do: `claim` asks the app's own server.
        now_ms = clock_ms(self._store)
        found = answers(
            self._store.gather(
                [("ZCOUNT", self._keys.callbacks_due(app), "-inf", now_ms) for app in apps]
                + [("EXISTS", self._keys.callbacks_pause(app)) for app in apps]
            )
        )
        paused = found[len(apps) :]
        return {app: int(n) for app, n, is_paused in zip(apps, found, paused, strict=False) if n and not is_paused}

    def claim(self, app: str) -> Callback | None:
        """The next callback to send, if there is one; it comes again unless its result is recorded.

        It is on all replicas, with its event: after a failover it would else come with other bytes, or its event be
        unknown. In a Cluster its event is on another shard, and it is not waited for. Raises StoreUnavailable.
        """
        run = self._keys.run(0)
        waits = not self._store.is_cluster
        if waits and not self._scripts.guard.has_all(run):
            return None
        callback = self._claim(app)
        mark = ("HSET", self._keys.run(0), StoreRun.MARK, "1")
        if waits and callback is not None and not self._scripts.are_on_replicas(mark, run):
            self.schedule_retry(callback, UNCONFIRMED_MS, 0, "too few replicas have it")
            return None
        return callback

    def _claim(self, app: str) -> Callback | None:
        keys = self._all_keys(app)
        del keys["callbacks_dead"]
        # A repeat after a lost reply would claim a second one, and the first would have to wait for its lease.
        reply: Any = self._scripts.call(
            "callback/claim", keys, repeat=False, lease_ms=self._lease_ms, most_at_once=MOST_AT_ONCE
        )
        if not reply:
            return None
        name, kind, verification, body, attempt = reply
        return Callback(name, app, kind, verification, body, int(attempt))

    def record_sent(self, callback: Callback) -> bool:
        """It arrived. False if it was no longer there. Raises StoreUnavailable."""
        keys = self._all_keys(callback.app)
        del keys["callbacks_pause"]
        return bool(self._scripts.call("callback/record_sent", keys, id=callback.id))

    def schedule_retry(self, callback: Callback, wait_ms: int, pause_ms: int, reason: str) -> bool:
        """Try again after a wait; for `pause_ms` the app gets nothing. Raises StoreUnavailable."""
        return self._record_failure("schedule_retry", callback, wait_ms=wait_ms, pause_ms=pause_ms, reason=reason)

    def dead_letter(self, callback: Callback, pause_ms: int, reason: str) -> bool:
        """Make it a dead letter; for `pause_ms` the app gets nothing. Raises StoreUnavailable."""
        return self._record_failure("dead_letter", callback, pause_ms=pause_ms, reason=reason)

    def _record_failure(self, script: str, callback: Callback, **args: int | str) -> bool:
        reply = self._scripts.call(
            f"callback/{script}",
            self._all_keys(callback.app),
            repeat=True,
            id=callback.id,
            attempt=callback.attempt,
            **self._dead_letter_limits,
            **args,
        )
        return bool(reply)

    def replay(self, app: str, callback_id: str | None) -> int:
        """Make one callback, or all dead letters of the app, due now; how many there were. Raises StoreUnavailable."""
        return int(self._scripts.call("callback/replay", self._all_keys(app), id=callback_id or ""))

    def counts(self, apps: Sequence[str]) -> dict[str, tuple[int, int]]:
        """How many callbacks of each app wait, and how many are dead; apps whose shard does not answer are left out.

        Raises StoreUnavailable if none does.
        """
        queues = [key for app in apps for key in (self._keys.callbacks_due(app), self._keys.callbacks_dead(app))]
        found = answers(self._store.gather([("ZCARD", key) for key in queues]))
        pairs = zip(apps, found[::2], found[1::2], strict=True)
        return {app: (due, dead) for app, due, dead in pairs if due is not None and dead is not None}

    def list(self, app: str, *, dead: bool) -> list[Waiting]:
        """What waits, soonest first, or what is dead, oldest first. Raises StoreUnavailable."""
        key = self._keys.callbacks_dead(app) if dead else self._keys.callbacks_due(app)
        (members,) = self._ask([("zrange", key, 0, -1, False, True)])
        found = self._ask(
            [("hmget", self._keys.callbacks(app), [f"{name}{field}" for field in _SHOWN]) for name, _ in members]
        )
        return [
            Waiting(name, app, kind, verification, dead, int(attempts), int(queued), int(at), why or "")
            for (name, at), (kind, verification, attempts, queued, why) in zip(members, found, strict=True)
            if kind is not None
        ]

    @property
    def _dead_letter_limits(self) -> dict[str, int]:
        return {"most_dead": self._most_dead, "dead_kept_ms": self._dead_kept_ms}

    def _queue_keys(self, app: str) -> dict[str, str]:
        k = self._keys
        return {
            "callbacks_due": k.callbacks_due(app),
            "callbacks": k.callbacks(app),
            "callbacks_dead": k.callbacks_dead(app),
        }

    def _all_keys(self, app: str) -> dict[str, str]:
        k = self._keys
        in_flight = {"callbacks_in_flight": k.callbacks_in_flight(app), "callbacks_pause": k.callbacks_pause(app)}
        return self._queue_keys(app) | in_flight

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        if not commands:
            return []
        with answering(), self._client.pipeline(transaction=False) as pipe:
            for name, *args in commands:
                getattr(pipe, name)(*args)
            return cast("Sequence[Any]", pipe.execute())
