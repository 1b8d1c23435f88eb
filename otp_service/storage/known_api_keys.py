"""What one process knows of the API keys: shared by its threads and its event loop.

It holds every key as of the last reading of all. That reading is confirmed several times a second by a mark that each
change of a key moves. While it is not confirmed, nothing here is believed: each request asks the store.
"""

import hmac
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

CONFIRMED_FOR_S = 0.75
"""What is known is used for so long after the store confirmed it: a revocation holds everywhere within a second."""

ALL_AGAIN_S = 30.0
"""All keys are read again after this, though the mark stands where it stood."""

_MOST = 20_000
"""More is kept of valid keys only."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: the key's id, its app and what it may do."""

    key_id: str
    app: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as the store had it when it was asked (monotonic seconds). `principal` None: it opens nothing."""

    asked_at: float
    digest: str
    principal: Principal | None
    ends_at: float

    def principal_for(self, digest: str) -> Principal | None:
        """Who holds the key whose secret has this digest; None if nobody may."""
        # Compared in any case, so that an unknown id takes as long as a wrong secret.
        same = hmac.compare_digest(self.digest, digest)
        return self.principal if same and time.monotonic() < self.ends_at else None


class KnownApiKeys:
    """The keys that this process knows. Safe for many threads; never waits for the store.

    `is_stale` is called when what is known cannot be used.
    """

    def __init__(self) -> None:
        self.is_stale: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self._keys: dict[str, KnownKey] = {}
        self._forgotten: dict[str, float] = {}
        self._mark: str | None = None
        self._all_read_at = self._confirmed_at = -ALL_AGAIN_S

    def get(self, key_id: str) -> KnownKey | None:
        """What is known of a key; None: ask the store."""
        if time.monotonic() - self._confirmed_at > CONFIRMED_FOR_S:
            self.is_stale()
            return None
        return self._keys.get(key_id)

    def last_found_valid(self, key_id: str, within_s: float) -> KnownKey | None:
        """A key that the store called valid so long ago at most, for while it does not answer."""
        known = self._keys.get(key_id)
        if known is None or known.principal is None:
            return None
        return known if max(known.asked_at, self._confirmed_at) + within_s >= time.monotonic() else None

    def put(self, key_id: str, found: KnownKey) -> KnownKey:
        """Keep an answer of the store; returns the newest that is known."""
        with self._lock:
            newer = self._keys.get(key_id)
            if newer is not None and newer.asked_at > found.asked_at:
                # An answer that was long under way must not undo a revocation that another thread has seen.
                return newer
            is_old = found.asked_at <= max(self._all_read_at, self._forgotten.get(key_id, -1.0))
            if not is_old and self._has_room(found):
                self._keys[key_id] = found
            return found

    def _has_room(self, found: KnownKey) -> bool:
        # Ids that somebody makes up: the store answers them as well.
        return found.principal is not None or len(self._keys) < _MOST

    def forget(self, key_id: str) -> None:
        """The key has changed: whatever was asked before does not count."""
        with self._lock:
            self._keys.pop(key_id, None)
            self._forgotten[key_id] = time.monotonic()

    def _is_forgotten(self, key_id: str, found: KnownKey) -> bool:
        return found.asked_at <= self._forgotten.get(key_id, -1.0)

    def is_confirmed_by(self, mark: str | None, asked_at: float) -> bool:
        """Whether the keys stand as they were read, if the store's mark was this when it was asked."""
        if mark != self._mark or asked_at - self._all_read_at > ALL_AGAIN_S:
            return False
        self._confirmed_at = asked_at
        return True

    def put_all(self, found: Mapping[str, KnownKey], mark: str | None, asked_at: float) -> None:
        """Every key of the store, read after its mark was this."""
        read_at = max((known.asked_at for known in found.values()), default=asked_at)
        with self._lock:
            merged = {key_id: known for key_id, known in found.items() if not self._is_forgotten(key_id, known)}
            # A request may have asked for one of them after this reading.
            merged |= {key_id: known for key_id, known in self._keys.items() if known.asked_at > read_at}
            self._forgotten = {key_id: at for key_id, at in self._forgotten.items() if at >= asked_at}
            self._keys = merged
            self._mark, self._all_read_at, self._confirmed_at = mark, asked_at, asked_at
