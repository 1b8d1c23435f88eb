"""API keys: `otp_<id>_<secret>`, 256 random bits of secret, of which the store holds only the SHA-256.

High entropy needs no slow hash. A look-up is remembered for `CACHE_S` seconds in each process, so a revocation holds
everywhere within that time.
"""

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..domain.audit import EventType
from ..domain.errors import StoreUnavailable
from .audit_log import AuditLog
from .client import STORE_ERRORS, Store
from .keys import Keys

SCOPES = ("verify", "optouts:read", "factors", "audit:read", "metrics")
CACHE_S = 2.0
_CACHE_MAX = 10_000
_KEY = re.compile(r"otp_([a-z0-9]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be shown of a key."""

    id: str
    app: str
    scopes: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key. `key` is shown once and is nowhere else."""

    id: str
    app: str
    scopes: tuple[str, ...]
    expires_at_ms: int | None
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: the key's id, its app and what it may do."""

    key_id: str
    app: str
    scopes: frozenset[str]


class ApiKeys:
    """The API keys of one store. `now_ms` is Unix time in milliseconds, `token_*` as in `secrets`."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        audit: AuditLog,
        *,
        now_ms: Callable[[], int],
        token_hex: Callable[[int], str],
        token_urlsafe: Callable[[int], str],
    ) -> None:
        self._client = store.client
        self._keys = keys
        self._audit = audit
        self._now_ms = now_ms
        self._token_hex = token_hex
        self._token_urlsafe = token_urlsafe
        self._cache: dict[str, tuple[float, Principal | None, int | None]] = {}
        self._lock = threading.Lock()

    def authenticate(self, key: str) -> Principal | None:
        """Who holds this key; None if nobody may. Raises StoreUnavailable."""
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        digest = hashlib.sha256(key.encode()).hexdigest()
        cached = self._cache.get(digest)
        if cached is None or cached[0] < time.monotonic():
            principal, expires_ms = self._look_up(match[1], digest)
            self._remember(digest, principal, expires_ms)
        else:
            principal, expires_ms = cached[1], cached[2]
        if principal is None or (expires_ms is not None and self._now_ms() >= expires_ms):
            return None
        return principal

    def _remember(self, digest: str, principal: Principal | None, expires_ms: int | None) -> None:
        with self._lock:
            if len(self._cache) >= _CACHE_MAX:
                self._cache.clear()
            self._cache[digest] = (time.monotonic() + CACHE_S, principal, expires_ms)

    def _look_up(self, key_id: str, digest: str) -> tuple[Principal | None, int | None]:
        names = ["digest", "app", "scopes", "expires", "revoked"]
        try:
            found: Any = self._client.hmget(self._keys.api_key(key_id), names)
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error
        stored, app, scopes, expires, revoked = found
        # Compared in any case, so that an unknown id takes as long as a wrong secret.
        same = hmac.compare_digest(stored or _NOBODY, digest)
        if not same or stored is None:
            return None, None
        ends = [int(at) for at in (expires, revoked) if at]
        principal = Principal(key_id, app, frozenset(scopes.split()))
        return principal, min(ends) if ends else None

    def create(self, app: str, scopes: Sequence[str], expires_at_ms: int | None) -> CreatedKey:
        """Make a key. Raises StoreUnavailable."""
        key_id = self._token_hex(6)
        key = f"otp_{key_id}_{self._token_urlsafe(32)}"
        record = {
            "digest": hashlib.sha256(key.encode()).hexdigest(),
            "app": app,
            "scopes": " ".join(scopes),
            "created": str(self._now_ms()),
            "expires": str(expires_at_ms or ""),
            "revoked": "",
        }
        try:
            with self._client.pipeline(transaction=True) as pipe:
                pipe.hset(self._keys.api_key(key_id), mapping=cast("Any", record))
                pipe.sadd(self._keys.api_keys(), key_id)
                pipe.execute()
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer, or refuses writes.") from error
        self._audit.note(EventType.KEY_CREATED, {"key_id": key_id, "scopes": " ".join(scopes)}, app=app)
        return CreatedKey(key_id, app, tuple(scopes), expires_at_ms, key)

    def get(self, key_id: str) -> KeyInfo | None:
        """One key's facts. Raises StoreUnavailable."""
        try:
            found: Any = self._client.hgetall(self._keys.api_key(key_id))
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error
        if not found:
            return None
        return KeyInfo(
            id=key_id,
            app=found["app"],
            scopes=tuple(found["scopes"].split()),
            created_at_ms=int(found["created"]),
            expires_at_ms=int(found["expires"]) if found["expires"] else None,
            revoked_at_ms=int(found["revoked"]) if found["revoked"] else None,
        )

    def list(self, app: str | None = None) -> "list[KeyInfo]":
        """All keys, or one app's, oldest first; revoked ones too. Raises StoreUnavailable."""
        try:
            ids: Any = self._client.smembers(self._keys.api_keys())
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error
        infos = [info for key_id in ids if (info := self.get(key_id)) is not None]
        return sorted((info for info in infos if app in (None, info.app)), key=lambda info: info.created_at_ms)

    def revoke(self, key_id: str) -> bool:
        """Revoke now; False if there is no such key. Raises StoreUnavailable."""
        return self._end(key_id, self._now_ms())

    def rotate(self, key_id: str, overlap_ms: int) -> CreatedKey | None:
        """A new key like the old one, which ends after the overlap; None if there is no such valid key."""
        info = self.get(key_id)
        now = self._now_ms()
        if info is None or any(end is not None and end <= now for end in (info.revoked_at_ms, info.expires_at_ms)):
            return None
        created = self.create(info.app, info.scopes, info.expires_at_ms)
        self._end(key_id, now + overlap_ms)
        return created

    def _end(self, key_id: str, at_ms: int) -> bool:
        info = self.get(key_id)
        if info is None:
            return False
        if info.revoked_at_ms is not None and info.revoked_at_ms <= at_ms:
            return True  # it ends sooner, or has ended: that moment stays
        try:
            self._client.hset(self._keys.api_key(key_id), "revoked", str(at_ms))
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer, or refuses writes.") from error
        self._audit.note(EventType.KEY_REVOKED, {"key_id": key_id}, app=info.app)
        return True
