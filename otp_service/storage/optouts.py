"""The opt-out registry: who must not be sent to, per messaging profile.

The scripts that start a verification and that begin a send read it too.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..domain.audit import EventType
from ..domain.optout_list import OptOut, Standing
from .answering import answering, answers
from .callers import webhook
from .delivery_reports import EVENT_TTL_MS
from .schema import Keys
from .schema.encodings import OptoutEntry, flag
from .scripts import Scripts
from .store import Store

UNCLEAR_THROTTLE_MS = 60_000
"""One unclear reply of a number in this time is recorded."""

SCAN = 500
"""Numbers that are looked at in one request."""


_OUT = f"1{OptoutEntry.separator}"
"""How an entry begins that says opted out."""


class OptOuts:
    """The registry of one store."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys

    def record(self, number_hash: str, mask: str, entry: OptOut, event_id: str | None) -> str:
        """Record an opt-out or opt-in: `changed`, `same`, `older` (a later one is known) or `duplicate` (same event).

        Raises StoreUnavailable.
        """
        k, shard = self._keys, self._keys.shard(number_hash)
        event = {"event": k.event(number_hash, event_id or "none"), "run": k.run(shard)}
        keys = self._keys_of(number_hash) | event | {"webhooks": k.webhooks(shard)}
        reply = self._scripts.call(
            "optout/record_keyword",
            keys,
            profile=entry.messaging_profile_id,
            state=flag(entry.opted_out),
            at_ms=entry.at_ms,
            keyword=entry.keyword or "",
            source=entry.source,
            mask=mask,
            number_hash=number_hash,
            event_ttl_ms=EVENT_TTL_MS if event_id else 0,
            **webhook(),
        )
        return str(reply)

    def record_unclear(self, number_hash: str, mask: str, profile: str | None) -> None:
        """Record that a reply could not be understood, once a minute for a number. Raises StoreUnavailable."""
        k = self._keys
        self._scripts.call(
            "audit/append",
            {"audit": k.audit(k.shard(number_hash)), "throttle": k.unclear(number_hash)},
            event_type=EventType.REPLY_UNCLEAR,
            detail=json.dumps({"messaging_profile_id": profile} if profile else {}),
            throttle_ms=UNCLEAR_THROTTLE_MS,
            app="",
            mask=mask,
            number_hash=number_hash,
        )

    def of_number(self, number_hash: str) -> list[OptOut]:
        """Everything the registry knows of one number. Raises StoreUnavailable."""
        with answering():
            found: Any = self._client.hgetall(self._keys.optouts(number_hash))
        return [_entry(profile, value) for profile, value in sorted(found.items())]

    def count(self) -> int:
        """How many numbers are opted out of some profile, on all shards that answer.

        Raises StoreUnavailable if none does.
        """
        commands = [("HLEN", self._keys.opted_out(shard)) for shard in range(self._keys.shards)]
        return sum(size or 0 for size in answers(self._store.gather(commands)))

    def standing(self, profile: str) -> Iterator[Standing]:
        """Every opt-out of a messaging profile, shard by shard. Raises StoreUnavailable."""
        for shard in range(self._keys.shards):
            cursor, first = 0, True
            while cursor or first:
                cursor, numbers = self._scan(shard, cursor)
                first = False
                values = self._values(profile, list(numbers))
                for (number_hash, mask), value in zip(numbers.items(), values, strict=True):
                    if value is not None and value.startswith(_OUT):
                        yield Standing(number_hash, mask, _entry(profile, value), value)

    def lift(self, profile: str, standing: Standing) -> bool:
        """Forget an opt-out that the carrier's list holds no longer; False if it changed since it was read.

        Raises StoreUnavailable.
        """
        reply = self._scripts.call(
            "optout/lift",
            self._keys_of(standing.number_hash),
            profile=profile,
            entry=standing.value,
            mask=standing.mask,
            number_hash=standing.number_hash,
        )
        return bool(reply)

    def _keys_of(self, number_hash: str) -> dict[str, str]:
        k, shard = self._keys, self._keys.shard(number_hash)
        return {"optouts": k.optouts(number_hash), "audit": k.audit(shard), "opted_out": k.opted_out(shard)}

    def _scan(self, shard: int, cursor: int) -> tuple[int, dict[str, str]]:
        with answering():
            reply: Any = self._client.hscan(self._keys.opted_out(shard), cursor, count=SCAN)
        return int(reply[0]), reply[1]

    def _values(self, profile: str, numbers: Sequence[str]) -> list[str | None]:
        if not numbers:
            return []
        with answering(), self._client.pipeline(transaction=False) as pipe:
            for number in numbers:
                pipe.hget(self._keys.optouts(number), profile)
            return list(pipe.execute())


def _entry(profile: str, value: str) -> OptOut:
    state, at, keyword, source = OptoutEntry.parse(value)
    return OptOut(profile, state == "1", int(at), keyword or None, source)
