"""Circuit breakers in the store: one for each sender, messaging profile and the account, the same for all processes.

Looking is cheap: what the store said is believed for `KNOWN_FOR_S`, and only a breaker that was open then is asked
again, since whoever asks may be the probe. The rules are `domain.circuit`'s.

In a Cluster a breaker whose shard is dead counts as closed, and what is learned of it is lost: deliveries of other
shards go on. A single server that does not answer is StoreUnavailable.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.circuit import (
    FAULT_WINDOW_MS,
    FIRST_PAUSE_MS,
    HOLD_WINDOW_MS,
    LONGEST_PAUSE_MS,
    PASS,
    PROBE_MS,
    TRIPS_AFTER,
    BreakerDecision,
    Circuit,
    Fault,
    Fine,
    Hold,
    Source,
)
from ..domain.errors import StoreUnavailable
from .answering import STORE_ERRORS, answering
from .client import Store
from .schema import Keys
from .scripts import Scripts

KNOWN_FOR_S = 0.5
_log = logging.getLogger("otp.circuits")
_FIELDS = ("until", "probe", "code", "title", "faults", "lasting", "every")


class Circuits:
    """The breakers of one store. Safe for many threads. Every method raises StoreUnavailable."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._known: dict[str, tuple[float, Circuit]] = {}

    def states(self, scopes: Sequence[str]) -> Mapping[str, Circuit]:
        """The breakers as they were half a second ago at most."""
        now = time.monotonic()
        # Taken once: another thread may forget an entry at any moment.
        known = {scope: self._known.get(scope) for scope in scopes}
        fresh = {scope: entry[1] for scope, entry in known.items() if entry and now - entry[0] < KNOWN_FOR_S}
        stale = [scope for scope in known if scope not in fresh]
        if stale:
            fresh |= self._read(stale)
            self._known.update({scope: (now, fresh[scope]) for scope in stale})
        return {scope: fresh[scope] for scope in scopes}

    def _read(self, scopes: Sequence[str]) -> dict[str, Circuit]:
        """Each breaker; closed where a dead shard of a Cluster hides it: its sender must not stop for that."""
        commands: list[tuple[str, ...]] = []
        for scope in scopes:
            commands.append(("HMGET", self._keys.circuit(scope), *_FIELDS))
            commands += [("EXISTS", self._keys.refusals(scope, source)) for source in Source]
        found = self._store.gather(commands)
        clocks = self._store.times_ms([self._keys.circuit(scope) for scope in scopes])
        size = 1 + len(Source)
        parts = [found[at : at + size] for at in range(0, len(found), size)]
        every = zip(scopes, clocks, parts, strict=True)
        return {scope: self._circuit(scope, now_ms, part) for scope, now_ms, part in every}

    def _circuit(self, scope: str, now_ms: int | None, part: Sequence[Any]) -> Circuit:
        failures = [reply for reply in part if isinstance(reply, STORE_ERRORS)]
        if now_ms is not None and not failures:
            return _circuit(scope, now_ms, *part)
        if not self._store.is_cluster:
            raise StoreUnavailable("The store does not answer.") from (failures[0] if failures else None)
        return _circuit(scope, 0, [None] * len(_FIELDS), *[0] * len(Source))

    def admit(self, scopes: Sequence[str], *, held_too: bool = False) -> BreakerDecision:
        """Whether a message may go through all of these breakers now; if it may as a probe, it is the only one.

        `held_too`: it has no better way, so a hold does not stop it, and it counts as a probe. A pause still does.
        """
        tripped = [circuit for circuit in self.states(scopes).values() if circuit.until_ms is not None]
        # Pauses first: where one message may not go, whatever a hold says, no probe is taken from the other breakers.
        for circuit in sorted(tripped, key=lambda circuit: circuit.lasting):
            if circuit.state == "open" and not (held_too and circuit.lasting):
                return _closed(circuit.probe_ms - circuit.now_ms, *_words(circuit))
        decision = PASS
        for scope in (circuit.scope for circuit in tripped):
            reply = self._run("circuit_pass", scope, [self._keys.circuit(scope)], [PROBE_MS, LONGEST_PAUSE_MS])
            if reply is None:
                continue
            may, second, *words = reply
            if not may and not (held_too and words[2] == "1"):
                return _closed(int(second), *words)
            decision = BreakerDecision(True, probe=True) if second or not may else decision
        return decision

    def record_hold(self, hold: Hold, number_hash: str, *, probe: bool = False) -> str:
        """Count what the carrier said of a scope when it met this number's message, a probe's or another's.

        `opened`: the breaker is open for it now; `open`: it was before; `counted`: other numbers must meet it first.
        """
        for_ms = "0" if hold.for_ms is None else str(hold.for_ms)
        args: list[str | int] = [
            for_ms,
            hold.probe_ms,
            hold.code,
            hold.title,
            number_hash,
            hold.after,
            HOLD_WINDOW_MS,
            _flag(probe),
        ]
        keys = [self._keys.circuit(hold.scope), self._keys.refusals(hold.scope, hold.source)]
        return str(self._run("circuit_hold", hold.scope, keys, args) or "counted")

    def record_fault(self, fault: Fault, number_hash: str, *, probe: bool = False) -> bool:
        """Count a fault that this number's message met, a probe's or another's; whether it opened the breaker."""
        limits = [TRIPS_AFTER, FAULT_WINDOW_MS, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, PROBE_MS]
        args: list[str | int] = [*limits, fault.reason, _flag(probe), number_hash]
        return bool(self._run("circuit_fault", fault.scope, [self._keys.circuit(fault.scope)], args) == "opened")

    def record_success(self, fine: Fine, *, probe: bool) -> bool:
        """Close a breaker that was open, if this was its probe; whether it closed."""
        circuit = self.states([fine.scope])[fine.scope]
        refused = fine.sent and Source.ANSWER in circuit.counted
        if circuit.until_ms is None and not circuit.faults and not refused:
            return False
        keys = [self._keys.circuit(fine.scope), self._keys.refusals(fine.scope, Source.ANSWER)]
        return bool(self._run("circuit_fine", fine.scope, keys, [_flag(probe), _flag(fine.sent)]))

    def record_delivered(self, scopes: Sequence[str]) -> None:
        """A message reached its phone: the failed reports of these scopes are no longer in a row."""
        for circuit in self.states(scopes).values():
            if Source.REPORT in circuit.counted:
                self._forget(circuit.scope)

    def _forget(self, scope: str) -> None:
        try:
            with answering():
                self._client.delete(self._keys.refusals(scope, Source.REPORT))
        except StoreUnavailable:
            if not self._store.is_cluster:
                raise
        self._known.pop(scope, None)

    def _run(self, script: str, scope: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """The script's reply; None where the scope's shard of a Cluster is dead."""
        try:
            reply = self._scripts.run(script, keys, args)
        except StoreUnavailable:
            if not self._store.is_cluster:
                raise
            _log.warning("the state of a circuit is not known", extra={"scope": scope})
            return None
        if script != "circuit_pass":
            self._known.pop(scope, None)
        return reply


def _circuit(scope: str, now_ms: int, fields: Sequence[str | None], *counted: int) -> Circuit:
    until, probe, code, title, faults, lasting, every = fields
    # As in circuit_pass: a probe that is further away was set before the clock was set back.
    furthest_ms = now_ms + max(int(every or 0), LONGEST_PAUSE_MS)
    return Circuit(
        scope=scope,
        until_ms=int(until) if until else None,
        probe_ms=min(int(probe or 0), furthest_ms),
        code=code or "",
        title=title or "",
        faults=int(faults or 0),
        lasting=lasting == "1",
        now_ms=now_ms,
        counted=frozenset(source for source, exists in zip(Source, counted, strict=True) if exists),
    )


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _words(circuit: Circuit) -> tuple[str, str, str]:
    return circuit.code, circuit.title, _flag(circuit.lasting)


def _closed(wait_ms: int, code: str, title: str, lasting: str) -> BreakerDecision:
    return BreakerDecision(False, max(1, wait_ms), code, title, lasting == "1")
