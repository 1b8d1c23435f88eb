"""The audit record: pages of it, and the record as it grows for the callback worker."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ...domain.audit import Event, EventPage, Position
from ...domain.record_page import LedgerPage


class AuditReader(Protocol):
    """The record, merged over all shards."""

    @property
    def shards(self) -> int:
        """How many positions a cursor has."""
        ...

    def shard_of(self, number_hash: str) -> int:
        """The shard of a number's events."""
        ...

    def read(
        self,
        positions: Sequence[Position],
        *,
        shards: Sequence[int],
        until_ms: int | None,
        limit: int,
        wanted: Mapping[str, frozenset[str]],
    ) -> EventPage:
        """Up to `limit` events after the positions, in order of time, from those of these shards that answer.

        `wanted` maps a field of the event to the values that pass.
        """
        ...


class AuditConsumer(Protocol):
    """The record as it grows: each event is given to one reader, and again until it is acknowledged."""

    def read_new(self, count: int) -> list[Event]:
        """Up to `count` new events of each shard that answers."""
        ...

    def claim_stale(self, count: int) -> list[Event]:
        """Events that a reader took and did not acknowledge."""
        ...

    def acknowledge(self, events: Sequence[Event]) -> None:
        """These need not be given to a reader again."""
        ...


class LedgerReader(Protocol):
    """What of the record is in the ledger."""

    def read(
        self,
        positions: Sequence[Position],
        *,
        shards: Sequence[int],
        until_ms: int | None,
        limit: int,
        wanted: Mapping[str, frozenset[str]],
    ) -> LedgerPage:
        """As `AuditReader.read`: as many events as there are, up to `limit`."""
        ...
