"""Circuit breakers in the store: one for each sender, messaging profile and the account, the same for all processes.

Reading is cheap: what the process knows is believed for a moment, and only a breaker that was open then is read again
by the script that admits, since the message may be the probe. The rules are `domain.circuit`'s.

In a Cluster a breaker whose shard is dead counts as closed, and what is learned of it is lost: deliveries of other
shards go on. A single server that does not answer is StoreUnavailable.
"""

import logging
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
    Hold,
    Source,
    Success,
    stopped_by,
)
from ..domain.errors import StoreUnavailable
from .answering import answering
from .circuit_states import CircuitStates, KnownCircuits
from .schema import Keys
from .schema.encodings import flag
from .script_files import Value
from .scripts import Scripts
from .store import Store

_log = logging.getLogger("otp.circuits")


class Circuits:
    """The breakers of one store. Safe for many threads. Every method raises StoreUnavailable."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, known: KnownCircuits | None = None) -> None:
        """`known` is shared with others of the same process."""
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._states = CircuitStates(store, keys, known or KnownCircuits())

    def states(self, scopes: Sequence[str]) -> Mapping[str, Circuit]:
        """The breakers as they were a moment ago."""
        return self._states.of(scopes)

    def refresh(self, scopes: Sequence[str]) -> None:
        """Bring what this process knows of these breakers up to date."""
        self._states.refresh(scopes)

    def admit(self, scopes: Sequence[str], *, held_too: bool = False) -> BreakerDecision:
        """Whether a message may go through all of these breakers now; if it may as a probe, it is the only one.

        `held_too`: it has no better way, so a hold does not stop it, and it counts as a probe. A pause still does.
        """
        tripped = [circuit for circuit in self.states(scopes).values() if circuit.until_ms is not None]
        # Pauses first: where one message may not go, whatever a hold says, no probe is taken from the other breakers.
        for circuit in sorted(tripped, key=lambda circuit: circuit.is_hold):
            if circuit.state == "open" and not (held_too and circuit.is_hold):
                return stopped_by(circuit)
        decision = PASS
        for scope in (circuit.scope for circuit in tripped):
            admitted = self._admit(scope, held_too=held_too)
            if not admitted.passes:
                return admitted
            decision = admitted if admitted.probe else decision
        return decision

    def _admit(self, scope: str, *, held_too: bool) -> BreakerDecision:
        reply = self._call("admit", scope, probe_ms=PROBE_MS, longest_pause_ms=LONGEST_PAUSE_MS)
        if reply is None:
            return PASS
        may, second, *reason = reply
        if may:
            return BreakerDecision(True, probe=bool(second))
        code, title, is_hold = reason
        if held_too and is_hold == "1":
            return BreakerDecision(True, probe=True)
        return BreakerDecision(False, max(1, int(second)), code, title, is_hold == "1")

    def record_hold(self, hold: Hold, number_hash: str, *, probe: bool = False) -> str:
        """Count what the carrier reported of a scope when it met this number's message, a probe's or another's.

        `opened`: the breaker is open for it now; `open`: it was before; `counted`: other numbers must meet it first.
        """
        reply = self._change(
            "record_hold",
            hold.scope,
            {"carrier_refusals": self._keys.carrier_refusals(hold.scope, hold.source)},
            hold_ms=hold.for_ms or 0,
            probe_interval_ms=hold.probe_ms,
            code=hold.code,
            title=hold.title,
            number=number_hash,
            needed=hold.after,
            window_ms=HOLD_WINDOW_MS,
            is_probe=flag(probe),
        )
        return str(reply or "counted")

    def record_fault(self, fault: Fault, number_hash: str, *, probe: bool = False) -> bool:
        """Count a fault that this number's message met, a probe's or another's; whether it opened the breaker."""
        reply = self._change(
            "record_fault",
            fault.scope,
            trips_after=TRIPS_AFTER,
            window_ms=FAULT_WINDOW_MS,
            first_pause_ms=FIRST_PAUSE_MS,
            longest_pause_ms=LONGEST_PAUSE_MS,
            probe_ms=PROBE_MS,
            reason=fault.reason,
            is_probe=flag(probe),
            number=number_hash,
        )
        return bool(reply == "opened")

    def record_success(self, success: Success, *, probe: bool) -> bool:
        """Close a breaker that was open, if this was its probe; whether it closed."""
        circuit = self.states([success.scope])[success.scope]
        refused = success.sent and Source.ANSWER in circuit.counted
        if circuit.until_ms is None and not circuit.faults and not refused:
            return False
        keys = {"carrier_refusals": self._keys.carrier_refusals(success.scope, Source.ANSWER)}
        args = {"is_probe": flag(probe), "is_accepted": flag(success.sent)}
        return bool(self._change("record_success", success.scope, keys, **args))

    def record_delivered(self, scopes: Sequence[str]) -> None:
        """A message reached its phone: the failed reports of these scopes are no longer in a row."""
        for circuit in self.states(scopes).values():
            if Source.REPORT in circuit.counted:
                self._forget_reports(circuit.scope)

    def _forget_reports(self, scope: str) -> None:
        try:
            with answering():
                self._client.delete(self._keys.carrier_refusals(scope, Source.REPORT))
        except StoreUnavailable:
            if not self._store.is_cluster:
                raise
        self._states.forget(scope)

    def _change(self, script: str, scope: str, more_keys: Mapping[str, str] | None = None, **args: Value) -> Any:
        reply = self._call(script, scope, more_keys, **args)
        if reply is not None:
            self._states.forget(scope)
        return reply

    def _call(self, script: str, scope: str, more_keys: Mapping[str, str] | None = None, **args: Value) -> Any:
        """The script's reply; None where the scope's shard of a Cluster is dead."""
        keys = {"circuit": self._keys.circuit(scope), **(more_keys or {})}
        try:
            return self._scripts.call(f"circuit/{script}", keys, repeat=True, **args)
        except StoreUnavailable:
            if not self._store.is_cluster:
                raise
            _log.warning("the state of a circuit is not known", extra={"scope": scope})
            return None
