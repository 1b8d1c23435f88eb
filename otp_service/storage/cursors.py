"""How far the carrier's list of opt-outs has been read, and the lease of the one process that reads it."""

from typing import Any, cast

from ..domain.optout_list import Cursor
from .answering import answering
from .schema import Keys
from .schema.fields import SyncCursor
from .scripts import Scripts
from .store import Store

LEASE_MS = 60_000
"""Longer than one page can take to be asked for and written, so that a living reader is never overtaken."""


class Cursors:
    """The cursors of one store. `owner` below is the reading process's own word for one pass."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._client = store.client
        self._scripts = scripts
        self._keys = keys

    def acquire_lease(self, owner: str, *, force: bool) -> int:
        """Become the reader: 0, or the milliseconds until that may be. `force`: although the list was read lately.

        Raises StoreUnavailable.
        """
        keys = {"sync_lease": self._keys.sync_lease(), "sync_pause": self._keys.sync_pause()}
        return int(self._scripts.call("sync/acquire_lease", keys, owner=owner, lease_ms=LEASE_MS, force=int(force)))

    def load(self, profile: str) -> Cursor:
        """How far the profile's list has been read. Raises StoreUnavailable."""
        with answering():
            found: Any = cast(
                "Any",
                self._client.hmget(
                    self._keys.sync_cursor(profile), [SyncCursor.DONE, SyncCursor.EDGE, SyncCursor.PAGE]
                ),
            )
        return Cursor(*(int(value or 0) for value in found))

    def advance(self, owner: str, profile: str, cursor: Cursor) -> bool:
        """Write it down and stay the reader; False if another process is it by now. Raises StoreUnavailable."""
        reply = self._scripts.call(
            "sync/advance",
            {"sync_lease": self._keys.sync_lease(), "sync_cursor": self._keys.sync_cursor(profile)},
            owner=owner,
            lease_ms=LEASE_MS,
            done_ms=cursor.done_ms,
            edge_ms=cursor.edge_ms,
            page=cursor.page,
        )
        return bool(reply)

    def release_lease(self, owner: str, pause_ms: int) -> None:
        """Stop being the reader; the timer's next pass comes after `pause_ms`. Raises StoreUnavailable."""
        keys = {"sync_lease": self._keys.sync_lease(), "sync_pause": self._keys.sync_pause()}
        self._scripts.call("sync/release_lease", keys, owner=owner, pause_ms=pause_ms)
