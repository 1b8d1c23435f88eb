"""What starts take apart from their numbers, each on a shard of its own."""

from collections.abc import Sequence
from typing import Protocol

from ...domain.admission import OuterAnswer, Wanted


class OuterStore(Protocol):
    """Takes what lies on other shards than the number's: all of it in one round trip, and none for nothing."""

    def take(self, wanted: Sequence[Wanted]) -> list[OuterAnswer]:
        """Take each of these that is free; the answers in their order."""
        ...

    def look(self, wanted: Sequence[Wanted]) -> list[OuterAnswer]:
        """What `take` would say, at this moment; nothing is taken."""
        ...

    def give_back(self, taken: Sequence[OuterAnswer]) -> None:
        """Undo `take` for these answers. What was not taken is left out. Never raises: the rest runs out by itself."""
        ...


class LimitRecord(Protocol):
    """The record of limits that refuse nothing."""

    def record_exceeded(self, number_hash: str, mask: str, app: str, limit: str, wait_ms: int) -> None:
        """A limit would have refused for so long."""
        ...
