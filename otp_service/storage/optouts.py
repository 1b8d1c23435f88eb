"""The opt-out registry: who must not be sent to, per messaging profile. The start and begin scripts read it too."""

from typing import Any

from ..domain.errors import StoreUnavailable
from ..domain.operation import OptOut
from .client import STORE_ERRORS, Store
from .keys import Keys
from .outbox import EVENT_TTL_MS
from .scripts import Scripts


class OptOuts:
    """The registry of one store."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._client = store.client
        self._scripts = scripts
        self._keys = keys

    def put(self, number_hash: str, mask: str, entry: OptOut, event_id: str | None) -> str:
        """Write a wish down: `changed`, `same`, `older` (a later one is known) or `duplicate` (same event).

        Raises StoreUnavailable.
        """
        k = self._keys
        keys = [
            k.optouts(number_hash),
            k.audit(k.shard(number_hash)),
            k.event(number_hash, event_id or "none"),
        ]
        args: list[str | int] = [
            entry.messaging_profile_id,
            "1" if entry.opted_out else "0",
            entry.at_ms,
            entry.keyword or "",
            entry.source,
            mask,
            number_hash,
            EVENT_TTL_MS if event_id else "0",
        ]
        return str(self._scripts.run("optout", keys, args))

    def of(self, number_hash: str) -> list[OptOut]:
        """Everything the registry knows of one number. Raises StoreUnavailable."""
        try:
            found: Any = self._client.hgetall(self._keys.optouts(number_hash))
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error
        return [_entry(profile, value) for profile, value in sorted(found.items())]


def _entry(profile: str, value: str) -> OptOut:
    state, at, keyword, source = value.split("|", 3)
    return OptOut(profile, state == "1", int(at), keyword or None, source)
