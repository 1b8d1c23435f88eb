"""Keys of one kind that are of a wrong type on some shards, by somebody's mistake: left out, and said so.

One command over the keys of all shards fails as a whole if one of them is of another type.
"""

import logging
import time
from collections.abc import Callable, Sequence

from .store import Store

LOOK_AGAIN_S = 5.0
"""A shard whose key is wrong is left out for so long; then it is tried again."""

_log = logging.getLogger("otp.store")


class WrongKeys:
    """Which shards have no usable key. `key` names that of a shard, `kind` is its type in the store's words."""

    def __init__(self, store: Store, key: Callable[[int], str], kind: str) -> None:
        self._store = store
        self._key = key
        self._kind = kind
        self._until: dict[int, float] = {}

    def without(self, shards: Sequence[int]) -> list[int]:
        """Those of the shards that are not left out now."""
        now = time.monotonic()
        return [shard for shard in shards if self._until.get(shard, 0.0) <= now]

    def find(self, shards: Sequence[int]) -> bool:
        """Look at the keys and leave out the wrong ones for a while; whether there are any."""
        kinds = self._store.gather([("TYPE", self._key(shard)) for shard in shards])
        wrong = [shard for shard, kind in zip(shards, kinds, strict=True) if self._is_wrong(kind)]
        self._until |= dict.fromkeys(wrong, time.monotonic() + LOOK_AGAIN_S)
        for shard in wrong:
            _log.error("a key is of a wrong type; its shard is left out", extra={"where": self._key(shard)})
        return bool(wrong)

    def _is_wrong(self, kind: object) -> bool:
        return isinstance(kind, str) and kind not in (self._kind, "none")
