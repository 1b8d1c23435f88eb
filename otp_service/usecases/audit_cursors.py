"""Cursors over the audit record. What they hold is sealed: positions would tell an app when others did something."""

from collections.abc import Sequence

from ..domain.audit import EventPage, Position, pack_positions, read_positions
from ..domain.errors import KeyUnknown, SealBroken
from . import ports

CLOCKS_APART_MS = 5_000
"""By so much the clocks of two servers of a Cluster may differ, so that no event between two pages is passed over."""

_TO_URL = str.maketrans("+/", "-_", "=")
_FROM_URL = str.maketrans("-_", "+/")


class AuditCursors:
    """Writes and reads cursors for so many shards. Equal positions have equal cursors."""

    def __init__(self, vault: ports.Vault, key_ids: ports.KeyIds, shards: int) -> None:
        self._vault = vault
        self._key_ids = key_ids
        self._shards = shards

    def text(self, positions: Sequence[Position]) -> str:
        """The cursor: ASCII that a URL holds as it is."""
        kid, _, sealed = self._vault.seal_alike(pack_positions(positions)).partition(":")
        return f"{kid}.{sealed.translate(_TO_URL)}"

    def read(self, text: str) -> Sequence[Position]:
        """The positions. ValueError for what is no cursor of ours.

        Raises KeyUnknown where another process has the cursor's key, and StoreUnavailable.
        """
        kid, _, sealed = text.partition(".")
        padding = "=" * (-len(sealed) % 4)
        try:
            raw = self._vault.open(f"{kid}:{sealed.translate(_FROM_URL)}{padding}")
        except KeyUnknown as error:
            if self._key_ids.known(kid):
                raise
            raise ValueError("not a cursor") from error
        except SealBroken as error:
            raise ValueError("not a cursor") from error
        return read_positions(raw, self._shards)


def next_positions(before: Sequence[Position], found: EventPage, limit: int) -> Sequence[Position] | None:
    """Where the page after the first `limit` events begins; None at the end.

    If there is one more event, the events of the page alone decide that, and none that a filter left out. So they do
    where shards did not answer: what comes of those later is older than what was shown, and nothing of it is passed
    over.
    """
    if len(found.events) <= limit and not (found.at_end and found.unread):
        return None if found.at_end else found.positions
    shown = found.events[:limit]
    reached = Position(max(0, shown[-1].at_ms - CLOCKS_APART_MS), 0)
    after = [position if shard in found.unread else max(position, reached) for shard, position in enumerate(before)]
    for event in shown:
        after[event.shard] = max(after[event.shard], event.position)
    return after
