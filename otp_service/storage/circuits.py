"""Circuit breakers in the store: one for each sender, messaging profile and the account, the same for all processes.

Looking is cheap: what the store said is believed for `KNOWN_FOR_S`, and only a breaker that was open then is asked
again, since whoever asks may be the probe. The rules are `domain.circuit`'s.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.circuit import (
    ACCOUNT,
    FAULT_WINDOW_MS,
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    PASS,
    PROBE_MS,
    TRIPS_AFTER,
    Circuit,
    Fault,
    Fine,
    Gate,
    Hold,
)
from ..domain.errors import StoreUnavailable
from .client import STORE_ERRORS, Store
from .keys import Keys
from .scripts import Scripts

KNOWN_FOR_S = 0.5
_FIELDS = ("until", "probe", "code", "title", "faults", "lasting")


class Circuits:
    """The breakers of one store. Safe for many threads. Every method raises StoreUnavailable."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._known: dict[str, tuple[float, Circuit]] = {}

    def look(self, scopes: Sequence[str]) -> Mapping[str, Circuit]:
        """The breakers as they were half a second ago at most."""
        now = time.monotonic()
        stale = [scope for scope in scopes if now - self._known.get(scope, (-KNOWN_FOR_S, None))[0] >= KNOWN_FOR_S]
        if stale:
            self._refresh(stale, now)
        return {scope: self._known[scope][1] for scope in scopes}

    def _refresh(self, scopes: Sequence[str], now: float) -> None:
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for scope in scopes:
                    pipe.hmget(self._keys.circuit(scope), _FIELDS)
                found: Any = pipe.execute()
            seconds, micros = self._client.time()
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        for scope, (until, probe, code, title, faults, lasting) in zip(scopes, found, strict=True):
            circuit = Circuit(
                scope=scope,
                until_ms=int(until) if until else None,
                probe_ms=int(probe or 0),
                code=code or "",
                title=title or "",
                faults=int(faults or 0),
                lasting=lasting == "1",
                now_ms=now_ms,
            )
            self._known[scope] = (now, circuit)

    def pass_through(self, scopes: Sequence[str]) -> Gate:
        """Whether a message may go through all of these breakers now; if it may as a probe, it is the only one."""
        tripped = [circuit for circuit in self.look(scopes).values() if circuit.until_ms is not None]
        for circuit in tripped:
            # No probe is taken from one breaker where another says no anyway.
            if circuit.state == "open":
                return _closed(circuit.scope, circuit.probe_ms - circuit.now_ms, *_words(circuit))
        gate = PASS
        for scope in (circuit.scope for circuit in tripped):
            may, second, *words = self._scripts.run("circuit_pass", [self._keys.circuit(scope)], [PROBE_MS])
            if not may:
                return _closed(scope, int(second), *words)
            gate = Gate(True, probe=True) if second else gate
        return gate

    def hold(self, hold: Hold) -> bool:
        """Open a breaker; whether that is news."""
        for_ms = "0" if hold.for_ms is None else str(hold.for_ms)
        args: list[str | int] = [for_ms, hold.probe_ms, hold.code, hold.title]
        return bool(self._run("circuit_hold", hold.scope, args) == "opened")

    def fault(self, fault: Fault, *, probe: bool = False) -> bool:
        """Count a fault, of a probe or another message; whether it opened the breaker."""
        limits = [TRIPS_AFTER, FAULT_WINDOW_MS, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, PROBE_MS]
        return bool(self._run("circuit_fault", fault.scope, [*limits, fault.reason, "1" if probe else "0"]) == "opened")

    def fine(self, fine: Fine, *, probe: bool) -> bool:
        """Close a breaker that was open, if this was its probe; whether it closed."""
        circuit = self.look([fine.scope])[fine.scope]
        if circuit.until_ms is None and not circuit.faults:
            return False
        return bool(self._run("circuit_fine", fine.scope, ["1" if probe else "0"]))

    def _run(self, script: str, scope: str, args: Sequence[str | int]) -> Any:
        self._known.pop(scope, None)
        return self._scripts.run(script, [self._keys.circuit(scope)], args)


def _words(circuit: Circuit) -> tuple[str, str, str]:
    return circuit.code, circuit.title, "1" if circuit.lasting else "0"


def _closed(scope: str, wait_ms: int, code: str, title: str, lasting: str) -> Gate:
    return Gate(False, max(1, wait_ms), code, title, lasting == "1", may_fall=scope != ACCOUNT)
