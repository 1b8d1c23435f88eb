"""How many budgets of blocks and of addresses refused somebody lately. There are too many to show each."""

from collections.abc import Iterable, Mapping
from typing import Any

from .answering import answering
from .schema import Keys
from .schema.guard_fields import Guard
from .store import Store

PRESSED_MS = 3_600_000
"""A budget that refused within this time is counted, as in `domain.guard`."""

MOST = 100_000
"""So many budgets of a kind are looked at, at most: an attack makes many."""

_PAGE = 1_000


class FullBudgets:
    """Reads the small budgets of one store. Raises StoreUnavailable."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def count(self, app: str) -> Mapping[str, int]:
        """By kind, `block` and `address`: how many refused within the hour, or would have."""
        key = self._keys.total(app)
        (names,), now_ms = self._store.read_at([("HKEYS", key)])
        regions = [name.removeprefix(Guard.REGION) for name in names if name.startswith(Guard.REGION)]
        blocks = [self._keys.blocks(app, region) for region in regions]
        return {"block": self._of(blocks, now_ms), "address": self._of([self._keys.addresses(app)], now_ms)}

    def _of(self, keys: Iterable[str], now_ms: int) -> int:
        left, found = MOST, 0
        for key in keys:
            cursor: Any = 0
            while left > 0:
                with answering():
                    cursor, page = self._client().hscan(key, cursor, count=_PAGE)
                left -= len(page)
                found += sum(_is_pressed(text, now_ms) for text in page.values())
                if not int(cursor):
                    break
        return found

    def _client(self) -> Any:
        return self._store.client


def _is_pressed(text: str, now_ms: int) -> bool:
    """Of a `GuardBucket` or a `GuardAddress`: the third part of both is the last refusal."""
    refused_ms = int(text.split("|")[2])
    return refused_ms > 0 and now_ms < refused_ms + PRESSED_MS
