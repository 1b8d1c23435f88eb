"""Forgetting one person in the store: every key, field and entry that names them or one of their verifications.

The whole store is gone through while it is in use. Opt-outs are not forgotten here unless it is asked for: without them
messages would reach the person again. An entry that is taken out of a stream leaves its bytes, an id, in the block that
it shares with others, until these are gone.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from redis.exceptions import RedisError

from ..domain.continuity import place
from .answering import answering, answers
from .schema import Keys
from .schema.fields import AuditEntry, IdempotencyKey, Outbox, QueuedCallback
from .schema.keys import word_of
from .store import Store, fields_of
from .waiting_webhooks import WaitingWebhooks
from .whole_store import LOOK, key_batches, key_count

Progress = Callable[[int, int], object]
"""Called with how many keys were looked at, and about how many there are."""


class Erasure:
    """Forgets one number: `number_hash` and the `tokens` of its verifications are what it is known by."""

    def __init__(self, store: Store, keys: Keys, number_hash: str, tokens: Collection[str]) -> None:
        self._store = store
        self._client: Any = store.client
        self._keys = keys
        self._needles = (number_hash, *tokens)
        self._number_hash = number_hash
        self._webhooks = WaitingWebhooks(store, keys)

    def subjects(self) -> int:
        """How many subjects have this number as a factor. Raises StoreUnavailable."""
        found = 0
        for keys in key_batches(self._client):
            wanted = [key for key in keys if word_of(key) == "subject"]
            for reply in answers(self._store.gather([("HVALS", key) for key in wanted])) if wanted else ():
                found += self._number_hash in (reply or ())
        return found

    def shards(self) -> set[int]:
        """The shards whose audit streams name it, and its own. Raises StoreUnavailable."""
        return {self._keys.shard(self._number_hash), *self.named()}

    def named(self) -> set[int]:
        """The shards whose audit streams name it. Raises StoreUnavailable."""
        return {shard for shard in range(self._keys.shards) if self._is_named_in(self._keys.audit(shard))}

    def _is_named_in(self, stream: str) -> bool:
        first = "-"
        with answering():
            while entries := self._client.xrange(stream, min=first, count=LOOK):
                if any(self._names(fields.get(AuditEntry.ABOUT)) for _, fields in entries):
                    return True
                first = f"({entries[-1][0]}"
        return False

    def is_behind(self, shard: int, entry: str, unread: Collection[str] = ()) -> bool:
        """Whether a reader of the shard's audit stream has not done with what comes before the entry.

        `unread`: groups that nobody reads for any more.
        """
        with answering():
            found = self._client.xinfo_groups(self._keys.audit(shard))
        groups = [group for group in found if group["name"] not in unread]
        return any(group["pending"] or place(group["last-delivered-id"]) < place(entry) for group in groups)

    def trim(self, shard: int, entry: str) -> None:
        """Drop all that comes before the entry from the shard's audit stream; it is in the ledger.

        A stream keeps the bytes of entries that are deleted one by one, as long as one beside them stays.
        """
        with answering():
            self._client.xtrim(self._keys.audit(shard), minid=entry, approximate=False)
        self._webhooks.forget_until({shard: entry})

    def forget(self, progress: Progress) -> int:
        """Forget it everywhere but in the audit streams; how many keys, fields and entries that were.

        Raises StoreUnavailable.
        """
        done, gone, total = 0, 0, key_count(self._client)
        for keys in key_batches(self._client):
            for key in keys:
                with answering():
                    gone += self._forget_in(key)
            done += len(keys)
            progress(done, max(done, total))
        return gone

    def note(self, tombstone: str, at_ms: int) -> None:
        """Remember that this was done, without naming anybody. Raises StoreUnavailable."""
        keep_erased(self._store, self._keys, {tombstone: at_ms})

    def _names(self, text: object) -> bool:
        return any(needle in str(text) for needle in self._needles)

    def _forget_in(self, key: str) -> int:
        if word_of(key) == "subject" or key == self._keys.optouts(self._number_hash):
            return 0
        if self._names(key):
            return int(self._client.unlink(key))
        match word_of(key):
            case "timers":
                return self._of_set(key)
            case "outbox":
                return self._of_stream(key, Outbox.DELIVERY)
            case "dead":
                return self._of_stream(key)
            case "idempotency":
                return int(self._names(self._client.hget(key, IdempotencyKey.BODY)) and self._client.unlink(key))
        if key == self._keys.safe_list():
            return int(self._client.hdel(key, f"number:{self._number_hash}"))
        return self._of_callbacks(key) if key.endswith("}:all") and "{callbacks:" in key else 0

    def _of_set(self, key: str) -> int:
        members = [member for member, _ in self._client.zscan_iter(key, count=LOOK) if self._names(member)]
        return int(self._client.zrem(key, *members)) if members else 0

    def _of_stream(self, key: str, *fields: str) -> int:
        """Entries that name it in these fields; in any field if none is named."""
        first, gone = "-", 0
        while entries := self._client.xrange(key, min=first, count=LOOK):
            first = f"({entries[-1][0]}"
            named = [entry for entry, found in entries if self._names([found.get(name) for name in fields or found])]
            gone += int(self._client.xdel(key, *named)) if named else 0
        return gone

    def _of_callbacks(self, key: str) -> int:
        found: Mapping[str, str] = fields_of(self._client.hgetall(key))
        ids = {name.removesuffix(QueuedCallback.BODY) for name, text in found.items() if self._names(text)}
        named = [name for name in found if name.rpartition(":")[0] in ids]
        for other in ("due", "dead", "in_flight"):
            if ids:
                self._client.zrem(f"{key.removesuffix('all')}{other}", *ids)
        return int(self._client.hdel(key, *named)) if named else 0

    def forget_optouts(self) -> int:
        """Forget its opt-outs, too. Raises StoreUnavailable."""
        shard = self._keys.shard(self._number_hash)
        with answering():
            gone = self._client.delete(self._keys.optouts(self._number_hash))
            return int(gone) + int(self._client.hdel(self._keys.opted_out(shard), self._number_hash))

    def rewrite(self) -> bool:
        """Have the store write its append-only file anew, without what was forgotten; False if it refuses."""
        try:
            self._client.bgrewriteaof()
        except RedisError:
            return False
        return True


def keep_erased(store: Store, keys: Keys, tombstones: Mapping[str, int]) -> None:
    """Remember these erasures. Raises StoreUnavailable."""
    if tombstones:
        with answering():
            store.client.hset(keys.erased(), mapping={name: str(at_ms) for name, at_ms in tombstones.items()})


def erased_in(store: Store, keys: Keys) -> dict[str, int]:
    """The tombstones of all erasures, with their times (Unix milliseconds). Raises StoreUnavailable."""
    with answering():
        found: Any = store.client.hgetall(keys.erased())
    return {tombstone: int(at_ms) for tombstone, at_ms in found.items()}
