"""The whole audit record: the ledger, and the streams for what is not in the ledger yet."""

from collections.abc import Callable, Mapping, Sequence

from ..domain.audit import EventPage, Position
from ..domain.record_page import behind, merged, not_in_ledger
from . import ports


class WholeRecord:
    """Reads both as one. `ledger` gives the ledger's pages, or None while there is no ledger."""

    def __init__(self, streams: ports.AuditReader, ledger: Callable[[], ports.LedgerReader | None]) -> None:
        self._streams = streams
        self._ledger = ledger

    @property
    def shards(self) -> int:
        """How many positions a cursor has."""
        return self._streams.shards

    def shard_of(self, number_hash: str) -> int:
        """The shard of a number's events."""
        return self._streams.shard_of(number_hash)

    def read(
        self,
        positions: Sequence[Position],
        *,
        shards: Sequence[int],
        until_ms: int | None,
        limit: int,
        wanted: Mapping[str, frozenset[str]],
    ) -> EventPage:
        """Up to `limit` events after the positions, in order of time, from these shards.

        Of a shard that does not answer, what is in the ledger. Raises LedgerUnavailable.
        """
        ledger = self._ledger()
        if ledger is None:
            return self._streams.read(positions, shards=shards, until_ms=until_ms, limit=limit, wanted=wanted)
        # The ledger first: what is brought there meanwhile is still in its stream.
        first = ledger.read(positions, shards=shards, until_ms=until_ms, limit=limit, wanted=wanted)
        if len(first.events) == limit:
            # Nothing that is later than these is shown, so nothing later need be looked at.
            until_ms = first.events[-1].at_ms
        begin = behind(positions, first.reached)
        asked = not_in_ledger(shards, first.reached, until_ms)
        rest = self._streams.read(begin, shards=asked, until_ms=until_ms, limit=limit, wanted=wanted)
        return merged(positions, shards, first, rest, limit)
