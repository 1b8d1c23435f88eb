"""The states of circuit breakers, as the store had them a moment ago.

A process that serves requests or sends reads them in the background (`background`), so that nobody waits for them.
Whoever changes a breaker reads it anew.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..domain.circuit import LONGEST_PAUSE_MS, Circuit, Source
from ..domain.errors import StoreUnavailable
from .answering import REFUSED, STORE_ERRORS
from .schema import Keys
from .schema.fields import Breaker
from .store import Store

KNOWN_FOR_S = 0.5
"""How long a breaker is known that is not read in the background."""

READ_BEHIND_FOR_S = 2.0
"""How long one is known that is: so long may the background be late before requests read for themselves."""

_FIELDS = (
    Breaker.UNTIL,
    Breaker.NEXT_PROBE,
    Breaker.CODE,
    Breaker.TITLE,
    Breaker.FAULTS,
    Breaker.IS_HOLD,
    Breaker.PROBE_INTERVAL,
)


class KnownCircuits:
    """The breakers that this process knows: shared by its threads and its event loop. Never waits for the store.

    `is_stale` is called when a breaker is not known, or for too long. `for_s`: how long a breaker is known.
    """

    def __init__(self) -> None:
        self.is_stale: Callable[[], object] = lambda: None
        self.for_s = KNOWN_FOR_S
        self._known: dict[str, tuple[float, Circuit]] = {}
        self._forgotten: dict[str, float] = {}
        self._being_read: set[str] = set()

    def of(self, scopes: Sequence[str]) -> dict[str, Circuit]:
        """Those of these breakers that are known."""
        now, known = time.monotonic(), {}
        for scope in scopes:
            # Taken once: another thread may forget an entry at any moment.
            entry = self._known.get(scope)
            # While somebody reads a breaker again, the others use what is known: under load all would read it at once.
            if entry is not None and (now - entry[0] < self.for_s or scope in self._being_read):
                known[scope] = entry[1]
        return known

    def read(
        self, scopes: Sequence[str], ask: Callable[[Sequence[str]], Mapping[str, Circuit]]
    ) -> Mapping[str, Circuit]:
        """Have these breakers read, and keep them. Raises what `ask` raises."""
        began = time.monotonic()
        self._being_read.update(scopes)
        try:
            found = ask(scopes)
        finally:
            self._being_read.difference_update(scopes)
        self._known.update({scope: (began, found[scope]) for scope in scopes if self._is_newest(scope, began)})
        return found

    def _is_newest(self, scope: str, began: float) -> bool:
        known = self._known.get(scope)
        # One that was changed meanwhile is read again by whoever needs it.
        return self._forgotten.get(scope, -1.0) < began and (known is None or known[0] <= began)

    def forget(self, scope: str) -> None:
        """The breaker has changed: whatever was read before does not count."""
        self._forgotten[scope] = time.monotonic()
        self._known.pop(scope, None)


class CircuitStates:
    """Reads breakers from the store where they are not known. Safe for many threads."""

    def __init__(self, store: Store, keys: Keys, known: KnownCircuits) -> None:
        self._store = store
        self._keys = keys
        self._known = known
        self.forget = known.forget

    def of(self, scopes: Sequence[str]) -> Mapping[str, Circuit]:
        """The breakers of these scopes. Raises StoreUnavailable."""
        known = self._known.of(scopes)
        if len(known) == len(scopes):
            return known
        missing = [scope for scope in dict.fromkeys(scopes) if scope not in known]
        if not missing:
            return known
        self._known.is_stale()
        return known | dict(self._known.read(missing, self._read))

    def refresh(self, scopes: Sequence[str]) -> None:
        """Bring what is known of these breakers up to date. Raises StoreUnavailable."""
        self._known.read(scopes, self._read)

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
