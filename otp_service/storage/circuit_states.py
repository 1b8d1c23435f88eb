"""The states of circuit breakers, as the store had them half a second ago at most."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.circuit import LONGEST_PAUSE_MS, Circuit, Source
from ..domain.errors import StoreUnavailable
from .answering import REFUSED, STORE_ERRORS
from .schema import Keys
from .schema.fields import Breaker
from .store import Store

KNOWN_FOR_S = 0.5
_FIELDS = (
    Breaker.UNTIL,
    Breaker.NEXT_PROBE,
    Breaker.CODE,
    Breaker.TITLE,
    Breaker.FAULTS,
    Breaker.IS_HOLD,
    Breaker.PROBE_INTERVAL,
)


class CircuitStates:
    """Reads breakers and keeps them for `KNOWN_FOR_S`. Safe for many threads."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._known: dict[str, tuple[float, Circuit]] = {}

    def of(self, scopes: Sequence[str]) -> Mapping[str, Circuit]:
        """The breakers of these scopes. Raises StoreUnavailable."""
        now = time.monotonic()
        # Taken once: another thread may forget an entry at any moment.
        known = {scope: self._known.get(scope) for scope in scopes}
        fresh = {scope: entry[1] for scope, entry in known.items() if entry and now - entry[0] < KNOWN_FOR_S}
        stale = [scope for scope in known if scope not in fresh]
        if stale:
            fresh |= self._read(stale)
            self._known.update({scope: (now, fresh[scope]) for scope in stale})
        return {scope: fresh[scope] for scope in scopes}

    def forget(self, scope: str) -> None:
        """Read the breaker again the next time."""
        self._known.pop(scope, None)

    def _read(self, scopes: Sequence[str]) -> dict[str, Circuit]:
        commands: list[tuple[str, ...]] = []
        for scope in scopes:
            commands.append(("HMGET", self._keys.circuit(scope), *_FIELDS))
            commands += [("EXISTS", self._keys.carrier_refusals(scope, source)) for source in Source]
        found = self._store.gather(commands)
        clocks = self._store.times_ms([self._keys.circuit(scope) for scope in scopes])
        size = 1 + len(Source)
        parts = [found[at : at + size] for at in range(0, len(found), size)]
        every = zip(scopes, clocks, parts, strict=True)
        return {scope: self._circuit(scope, now_ms, part) for scope, now_ms, part in every}

    def _circuit(self, scope: str, now_ms: int | None, part: Sequence[Any]) -> Circuit:
        """The breaker; closed where a dead shard of a Cluster hides it: its sender must not stop for that."""
        failures = [reply for reply in part if isinstance(reply, STORE_ERRORS)]
        if now_ms is not None and not failures:
            return _circuit(scope, now_ms, *part)
        if not self._store.is_cluster:
            raise StoreUnavailable(REFUSED) from (failures[0] if failures else None)
        return _circuit(scope, 0, [None] * len(_FIELDS), *[0] * len(Source))


def _circuit(scope: str, now_ms: int, fields: Sequence[str | None], *counted: int) -> Circuit:
    until, probe, code, title, faults, is_hold, interval = fields
    # As in circuit/admit.lua: a probe that is further away was set before the clock was set back.
    furthest_ms = now_ms + max(int(interval or 0), LONGEST_PAUSE_MS)
    return Circuit(
        scope=scope,
        until_ms=int(until) if until else None,
        probe_ms=min(int(probe or 0), furthest_ms),
        code=code or "",
        title=title or "",
        faults=int(faults or 0),
        is_hold=is_hold == "1",
        now_ms=now_ms,
        counted=frozenset(source for source, exists in zip(Source, counted, strict=True) if exists),
    )
