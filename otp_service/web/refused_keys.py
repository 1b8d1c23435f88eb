"""Refused API keys and scopes, put on record: one a second for each key, whatever a caller does.

Ids that nobody has share one place in the record, and so do texts that are no key: they can be made up without end.
"""

import logging
import time
from collections.abc import Callable

from ..domain.audit import EventType
from ..domain.errors import StoreUnavailable
from ..storage.api_keys import ApiKeys, id_of
from ..storage.audit_log import AuditLog
from ..storage.known_api_keys import Principal

THROTTLE_MS = 1_000
MOST_LOOKS = 20
"""So many refused ids are looked up in a second; the others count as unknown."""

_log = logging.getLogger("otp.web")


class RefusedKeys:
    """Records refusals. Never raises: a refusal stays one where the record cannot be written."""

    def __init__(self, keys: ApiKeys, audit: AuditLog, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._audit = audit
        self._monotonic = monotonic
        self._recent: set[str] = set()
        self._since = monotonic()

    def record_key(self, token: str) -> None:
        """A key that opens nothing, as it was sent."""
        key_id = id_of(token)
        if key_id is None:
            self._record("malformed", EventType.KEY_REFUSED, {"reason": "malformed"})
        elif self._is_due(f"look:{key_id}"):
            self._guarded(lambda: self._record_id(key_id))

    def record_scope(self, principal: Principal, scope: str) -> None:
        """A valid key that may not do this."""
        mark = f"{principal.key_id}:{scope}"
        self._record(mark, EventType.SCOPE_REFUSED, {"key_id": principal.key_id, "scope": scope}, principal.app)

    def _record_id(self, key_id: str) -> None:
        known = self._keys.get(key_id) if len(self._recent) <= MOST_LOOKS else None
        if known is None:
            self._record("unknown", EventType.KEY_REFUSED, {"reason": "unknown"})
        else:
            # It has ended, or the secret is another one.
            self._record(key_id, EventType.KEY_REFUSED, {"key_id": key_id, "reason": "not_valid"}, known.app)

    def _record(self, mark: str, kind: EventType, detail: dict[str, str], app: str = "") -> None:
        if self._is_due(f"{kind}:{mark}"):
            self._guarded(lambda: self._audit.record(kind, detail, THROTTLE_MS, app=app, mark=f"{kind}:{mark}"))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreUnavailable:
            _log.warning("a refused key could not be recorded")

    def _is_due(self, mark: str) -> bool:
        """Whether this process has not seen the mark within about a second: then the store is asked."""
        now = self._monotonic()
        if now - self._since >= THROTTLE_MS / 1000:
            self._recent, self._since = set(), now
        if mark in self._recent or len(self._recent) > 4 * MOST_LOOKS:
            return False
        self._recent.add(mark)
        return True
