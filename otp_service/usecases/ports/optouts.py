"""Opt-outs: our registry, the carrier's list, and how far that list has been read."""

from collections.abc import Iterable
from typing import Protocol

from ...domain.optout_list import BlockPage, Cursor, OptOut, Standing


class OptOutRegistry(Protocol):
    """Who must not be sent to, per messaging profile."""

    def record(self, number_hash: str, mask: str, entry: OptOut, event_id: str | None) -> str:
        """Record a STOP or START: `changed`, `same`, `older` (a later one is known) or `duplicate` (same event)."""
        ...

    def of_number(self, number_hash: str) -> list[OptOut]:
        """Every entry of one number."""
        ...

    def standing(self, profile: str) -> Iterable[Standing]:
        """Every opt-out of a messaging profile, read shard by shard."""
        ...

    def lift(self, profile: str, standing: Standing) -> bool:
        """Remove an opt-out; False if it has changed since it was read."""
        ...

    def record_unclear(self, number_hash: str, mask: str, profile: str | None) -> None:
        """Record that a reply could not be understood; once a minute for a number."""
        ...


class BlockList(Protocol):
    """The carrier's list of opt-outs. Raises CarrierUnavailable."""

    def blocks(self, profile: str, *, since_ms: int, until_ms: int | None, page: int) -> BlockPage:
        """A page (counted from 1) of what was created in this time, both ends included."""
        ...


class Cursors(Protocol):
    """How far that list has been read, and the lease by which one process at a time reads it."""

    def acquire_lease(self, owner: str, *, force: bool) -> int:
        """Become the reader: 0, or the milliseconds until that may be. `force`: although the list was read lately."""
        ...

    def load(self, profile: str) -> Cursor:
        """How far a profile's list has been read."""
        ...

    def advance(self, owner: str, profile: str, cursor: Cursor) -> bool:
        """Write the cursor and renew the lease; False if another process has the lease by now."""
        ...

    def release_lease(self, owner: str, pause_ms: int) -> None:
        """Stop being the reader; the next pass by timer comes after `pause_ms`."""
        ...
