"""API keys: `otp_<id>_<secret>`, 256 random bits of secret, of which the store holds only the SHA-256.

High entropy needs no slow hash. A process that serves requests reads all keys in the background (`known_api_keys`), and
a revocation holds everywhere within a second. A key that is not known, or what is known too old: the store is asked.
While the store does not answer, a key that it called valid in the last `BELIEVED_S` seconds is believed. In a Cluster
the keys lie in one slot, and that shard may be dead alone: the numbers of all others must be served, and nobody can
revoke a key meanwhile, so there a key is believed for a day. A revocation that a process has seen holds all the same.

Revoked is a mark. What ends by time (an expiry, the old key of a rotation) ends by the store's clock; a process
measures only how long ago it asked. A key's events are written in one step with the key, into a hash beside it (the
audit streams lie in other slots), and copied to the record from there: at once, or by the next process that looks.
"""

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from ..domain.audit import EventType
from ..domain.errors import StoreUnavailable
from .answering import REFUSED, answering, answers
from .audit_log import AuditLog
from .callers import acting_for
from .known_api_keys import KnownApiKeys, KnownKey, Principal
from .schema import Keys
from .schema.encodings import ApiKeyEvent
from .schema.fields import ApiKey
from .scripts import Scripts
from .store import Store

SCOPES = ("verify", "optouts:read", "factors", "support", "audit:read", "audit:all", "metrics")
BELIEVED_S = 60.0
"""For so long after it was last found valid, a key is believed while the store does not answer."""

BELIEVED_IN_CLUSTER_S = 86_400.0
"""The same in a Cluster, while the shard of the keys does not answer."""

EVENT_ONCE_MS = 86_400_000
"""An event that is copied again within this time, after a crash, is not recorded twice."""

_READ_AT_ONCE = 500
_KEY = re.compile(r"otp_([a-z0-9]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY = "0" * 64
_FIELDS = (ApiKey.DIGEST, ApiKey.APP, ApiKey.SCOPES, ApiKey.EXPIRES, ApiKey.ENDS, ApiKey.REVOKED)
_EXPIRES, _ENDS = _FIELDS.index(ApiKey.EXPIRES), _FIELDS.index(ApiKey.ENDS)
_log = logging.getLogger("otp.api_keys")


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


def id_of(key: str) -> str | None:
    """The id in a key, whether or not there is such a key; None for what has not the form of one."""
    match = _KEY.fullmatch(key)
    return None if match is None else match[1]


class ApiKeys:
    """The API keys of one store. `token_*` as in `secrets`; `known` is shared with others of the same process."""

    def __init__(
        self,
        store: Store,
        scripts: Scripts,
        keys: Keys,
        audit: AuditLog,
        *,
        token_hex: Callable[[int], str],
        token_urlsafe: Callable[[int], str],
        known: KnownApiKeys | None = None,
    ) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._audit = audit
        self._token_hex = token_hex
        self._token_urlsafe = token_urlsafe
        self._known = known or KnownApiKeys()

    def authenticate(self, key: str) -> Principal | None:
        """Who holds this key; None if nobody may. Raises StoreUnavailable."""
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        known = self._known.get(match[1]) or self._ask(match[1])
        return known.principal_for(hashlib.sha256(key.encode()).hexdigest())

    def known_app(self, key: str) -> str | None:
        """Whose key it was when the store was last asked for it; None where that is long ago. Asks nobody."""
        match = _KEY.fullmatch(key)
        known = self._last_found_valid(match[1]) if match else None
        principal = known.principal_for(hashlib.sha256(key.encode()).hexdigest()) if known else None
        return principal.app if principal else None

    def _ask(self, key_id: str) -> KnownKey:
        try:
            found = self._read([key_id])[key_id]
        except StoreUnavailable:
            known = self._last_found_valid(key_id)
            if known is None:
                raise
            return known
        return self._known.put(key_id, found)

    def _last_found_valid(self, key_id: str) -> KnownKey | None:
        within_s = BELIEVED_IN_CLUSTER_S if self._store.is_cluster else BELIEVED_S
        return self._known.last_found_valid(key_id, within_s)

    def refresh(self) -> None:
        """Bring what is known of all keys up to date. Raises StoreUnavailable."""
        asked_at = time.monotonic()
        with answering():
            mark: Any = self._client.get(self._keys.api_keys_changed())
        if not self._known.is_confirmed_by(mark, asked_at):
            with answering():
                ids: Any = self._client.smembers(self._keys.api_keys())
            self._known.put_all(self._read(list(ids)), mark, asked_at)

    def _read(self, ids: Sequence[str]) -> dict[str, KnownKey]:
        """These keys as the store has them."""
        asked_at = time.monotonic()
        found: dict[str, Any] = {}
        for at in range(0, len(ids), _READ_AT_ONCE):
            some = ids[at : at + _READ_AT_ONCE]
            found |= zip(some, self._gather(some), strict=True)
        now_ms = self._time_ms() if any(reply[_EXPIRES] or reply[_ENDS] for reply in found.values()) else 0
        return {key_id: _known(key_id, reply, asked_at, now_ms) for key_id, reply in found.items()}

    def _gather(self, ids: Sequence[str]) -> "list[Any]":
        replies = self._store.gather([("HMGET", self._keys.api_key(key_id), *_FIELDS) for key_id in ids])
        found = answers(replies)
        if None in found:
            raise StoreUnavailable(REFUSED)
        return found

    def _time_ms(self) -> int:
        return self._store.time_ms(self._keys.api_keys())

    def create(self, app: str, scopes: Sequence[str], lifetime_ms: int | None) -> CreatedKey:
        """Make a key that lasts so long (None: without end). Raises StoreUnavailable."""
        created = self._create(app, scopes, lifetime_ms, None, 0)
        if created is None:
            raise StoreUnavailable("The store has another key of this id.")
        return created

    def _create(
        self, app: str, scopes: Sequence[str], lifetime_ms: int | None, old_id: str | None, overlap_ms: int
    ) -> CreatedKey | None:
        key_id = self._token_hex(6)
        key = f"otp_{key_id}_{self._token_urlsafe(32)}"
        keys = {
            "api_key": self._keys.api_key(key_id),
            "api_keys": self._keys.api_keys(),
            "api_key_events": self._keys.api_key_events(),
            "api_keys_changed": self._keys.api_keys_changed(),
            "run": self._keys.api_keys_run(),
        }
        if old_id is not None:
            keys["replaced_api_key"] = self._keys.api_key(old_id)
        reply = self._scripts.call(
            "api_key/create",
            keys,
            id=key_id,
            digest=hashlib.sha256(key.encode()).hexdigest(),
            app=app,
            scopes=" ".join(scopes),
            lifetime_ms="" if lifetime_ms is None else lifetime_ms,
            replaced_id=old_id or "",
            overlap_ms=overlap_ms,
        )
        if old_id is not None:
            self._known.forget(old_id)
        if not reply:
            return None
        self._record()
        made_for, may, ends = reply
        return CreatedKey(key_id, made_for, tuple(may.split()), int(ends) if ends else None, key)

    def get(self, key_id: str) -> KeyInfo | None:
        """One key's facts. Raises StoreUnavailable."""
        with answering():
            found: Any = self._client.hgetall(self._keys.api_key(key_id))
        if not found:
            return None
        return KeyInfo(
            id=key_id,
            app=found[ApiKey.APP],
            scopes=tuple(found[ApiKey.SCOPES].split()),
            created_at_ms=int(found[ApiKey.CREATED]),
            expires_at_ms=int(found[ApiKey.EXPIRES]) if found[ApiKey.EXPIRES] else None,
            revoked_at_ms=int(found[ApiKey.ENDS]) if found[ApiKey.ENDS] else None,
        )

    def list(self, app: str | None = None) -> "list[KeyInfo]":
        """All keys, or one app's, oldest first; revoked ones too. Raises StoreUnavailable."""
        with answering():
            ids: Any = self._client.smembers(self._keys.api_keys())
        infos = [info for key_id in ids if (info := self.get(key_id)) is not None]
        return sorted((info for info in infos if app in (None, info.app)), key=lambda info: info.created_at_ms)

    def revoke(self, key_id: str) -> bool:
        """Revoke now; False if there is no such key. Raises StoreUnavailable."""
        keys = {
            "api_key": self._keys.api_key(key_id),
            "api_key_events": self._keys.api_key_events(),
            "api_keys_changed": self._keys.api_keys_changed(),
            "run": self._keys.api_keys_run(),
        }
        try:
            found = bool(self._scripts.call("api_key/revoke", keys, id=key_id))
        finally:
            self._known.forget(key_id)
        self._record()
        return found

    def rotate(self, key_id: str, overlap_ms: int) -> CreatedKey | None:
        """A new key like the old one, which ends after the overlap; None if there is no such valid key.

        Raises StoreUnavailable.
        """
        return self._create("", (), None, key_id, overlap_ms)

    def record_events(self) -> None:
        """Copy what happened to keys into the audit record. Raises StoreUnavailable."""
        with answering():
            waiting: Any = self._client.hgetall(self._keys.api_key_events())
            for name, event in waiting.items():
                kind, app, by, detail = ApiKeyEvent.parse(event)
                mark = f"{kind}:{name}"
                with acting_for(by):
                    self._audit.record(EventType(kind), json.loads(detail), EVENT_ONCE_MS, app=app, mark=mark)
                self._client.hdel(self._keys.api_key_events(), name)

    def _record(self) -> None:
        try:
            self.record_events()
        except StoreUnavailable:
            # The key stands as it was meant to, and so does its event: a worker copies it soon.
            _log.warning("what happened to an API key is not in the audit record yet")


def _known(key_id: str, reply: Sequence[str | None], asked_at: float, now_ms: int) -> KnownKey:
    digest, app, scopes, expires, ends, revoked = reply
    if digest is None or revoked:
        return KnownKey(asked_at, digest or _NOBODY, None, inf)
    moments = [int(at) for at in (expires, ends) if at]
    ends_at = asked_at + (min(moments) - now_ms) / 1000 if moments else inf
    return KnownKey(asked_at, digest, Principal(key_id, app or "", frozenset((scopes or "").split())), ends_at)
