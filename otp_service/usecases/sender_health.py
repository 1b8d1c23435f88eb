"""The health of senders: in which order they are tried, whether one may send now, and what each outcome shows.

Nothing here ever disturbs a delivery by itself: figures that cannot be had leave the operator's order as it is.
"""

import logging
from collections.abc import Callable, Sequence

from ..domain import circuit, failover, findings, routing
from ..domain.circuit import BreakerDecision, Circuit, Fault, Finding, Hold, Source, Success
from ..domain.delivery import Accepted, DeliveryReport, DeliveryStatus, Refused, SendOutcome, from_carrier
from ..domain.errors import StoreUnavailable
from ..domain.outbox import ReportOutcome
from ..domain.policy import App, Policy, Sender, Strategy
from . import ports
from .alert_on_call import AlertOnCall

PROBE_EVERY_S = 1.0
"""While a breaker is half open, each process sends a new code its way no more often than this."""

_log = logging.getLogger("otp.sender_health")


class SenderHealth:
    """The health of all senders. Safe for many threads. `count` is called when a breaker opens or closes.

    `monotonic` gives seconds.
    """

    def __init__(
        self,
        *,
        circuits: ports.Circuits,
        sender_stats: ports.SenderStats,
        policy: Policy,
        alert: AlertOnCall,
        monotonic: Callable[[], float],
        count: Callable[[str, str], None],
    ) -> None:
        self._circuits = circuits
        self._sender_stats = sender_stats
        self._policy = policy
        self._alert = alert
        self._monotonic = monotonic
        self._count = count
        self._probed: dict[str, float] = {}

    def route(self, app: App, senders: Sequence[Sender]) -> tuple[tuple[Sender, ...], tuple[str, ...]]:
        """The senders in the order in which they are to be tried, and the names of those that are well."""
        try:
            broken = self._broken(senders)
            health = {}
            if app.strategy is Strategy.HEALTHIEST:
                health = dict(self._sender_stats.health([sender.name for sender in senders]))
        except StoreUnavailable:
            _log.warning("the health of the senders is not known")
            return tuple(senders), ()
        names = tuple(sender.name for sender in senders if sender.name not in broken)
        return routing.ordered(senders, app.strategy, health, broken), names

    def _broken(self, senders: Sequence[Sender]) -> set[str]:
        known = self._circuits.states(list({scope: None for sender in senders for scope in circuit.scopes(sender)}))
        if all(each.until_ms is None for each in known.values()):
            return set()  # as nearly always
        states = {s.name: {known[scope].state for scope in circuit.scopes(s)} for s in senders}
        return {name for name, state in states.items() if "open" in state or not self._may_probe(name, state)}

    def _may_probe(self, name: str, states: set[str]) -> bool:
        if "half_open" not in states:
            return True
        # Without a code now and then nobody would notice that the sender is well again.
        now = self._monotonic()
        if now - self._probed.get(name, -PROBE_EVERY_S) < PROBE_EVERY_S:
            return False
        self._probed[name] = now
        return True

    def pause(self, sender: Sender) -> BreakerDecision | None:
        """What a pause says to a message of this sender; None if there is none, or it is time for a probe.

        Nothing is taken by asking, no probe either. Raises StoreUnavailable.
        """
        pauses = [each for each in self._pauses(sender) if each.state == "open"]
        return circuit.stopped_by(pauses[0]) if pauses else None

    def answers(self, sender: Sender) -> bool:
        """Whether no pause is in force, nor a probe awaited. Raises StoreUnavailable."""
        return not self._pauses(sender)

    def _pauses(self, sender: Sender) -> list[Circuit]:
        known = self._circuits.states(circuit.scopes(sender)).values()
        return [each for each in known if each.until_ms is not None and not each.is_hold]

    def admit(self, sender: Sender, *, held_too: bool = False) -> BreakerDecision:
        """Whether a message may go by this sender now; `held_too`: a hold does not stop it. Raises StoreUnavailable."""
        return self._circuits.admit(circuit.scopes(sender), held_too=held_too)

    def not_held(self, senders: Sequence[str]) -> tuple[str, ...]:
        """Those of these senders that no hold stops. Raises StoreUnavailable."""
        return tuple(name for name, until in self._holds(senders).items() if not until)

    def better_than(self, sender: Sender, others: Sequence[str]) -> tuple[str, ...]:
        """Those of the others that are better than this held sender: not held, or not for so long.

        One that nobody answers from is not. Raises StoreUnavailable.
        """
        return failover.better_than(self._holds([sender.name])[sender.name], self._holds(others))

    def _holds(self, names: Sequence[str]) -> dict[str, int | None]:
        """When each sender's last hold ends, as `circuit.held_until` says; without senders no longer configured."""
        senders = [self._policy.senders[name] for name in names if name in self._policy.senders]
        known = self._circuits.states(list({scope: None for sender in senders for scope in circuit.scopes(sender)}))
        return {s.name: circuit.held_until(known[scope] for scope in circuit.scopes(s)) for s in senders}

    def record_outcome(self, sender: Sender, outcome: SendOutcome, decision: BreakerDecision, number_hash: str) -> None:
        """Judge a sender by how a send to this number ended, which `admit` let through. Never raises."""
        held = False
        try:
            if isinstance(outcome, Accepted) and self._is_untroubled(sender):
                return  # as nearly always
            for finding in findings.findings(outcome, sender):
                held |= self._record(finding, number_hash, probe=decision.probe)
        except StoreUnavailable:
            _log.warning("the outcome of a send could not be recorded for its sender", extra={"sender": sender.name})
        if held and isinstance(outcome, Refused):
            self._alert.refused(outcome, sender)

    def _is_untroubled(self, sender: Sender) -> bool:
        """Whether no breaker of the sender has anything that a success would change."""
        known = self._circuits.states(circuit.scopes(sender)).values()
        return not any(each.until_ms is not None or each.faults or each.counted for each in known)

    def record_report(self, applied: ReportOutcome, report: DeliveryReport, number_hash: str) -> None:
        """Judge a sender by a delivery report that moved a delivery to this number. Never raises."""
        sender = self._policy.senders.get(applied.sender)
        status = from_carrier(report.status)
        if applied.outcome != "moved" or sender is None:
            return
        held = False
        try:
            if status in (DeliveryStatus.DELIVERED, DeliveryStatus.FAILED):
                self._sender_stats.record_result(sender.name, delivered=status is DeliveryStatus.DELIVERED)
            if status is DeliveryStatus.DELIVERED:
                self._circuits.record_delivered(circuit.scopes(sender))
            hold = findings.refusal_hold(report.error, sender, Source.REPORT) if report.error is not None else None
            held = hold is not None and self._record(hold, number_hash, probe=False)
        except StoreUnavailable:
            _log.warning("a delivery report could not be recorded for its sender", extra={"sender": sender.name})
        if held and report.error is not None:
            self._alert.refused(report.error, sender)

    def record_spend_limit(self, profile: str | None) -> None:
        """The carrier reports that a profile has reached its daily limit. Never raises."""
        if profile is None or all(sender.messaging_profile_id != profile for sender in self._policy.senders.values()):
            return
        try:
            self._record(findings.spent(profile, "40333", "the daily spend limit is reached"), "", probe=False)
        except StoreUnavailable:
            _log.warning("a spent profile could not be marked", extra={"messaging_profile_id": profile})
        self._alert.spend_limit(profile)

    def _record(self, finding: Finding, number_hash: str, *, probe: bool) -> bool:
        """Record what was found; whether it is a hold that is now in force."""
        in_force = False
        match finding:
            case Hold():
                reply, state = self._circuits.record_hold(finding, number_hash, probe=probe), "open"
                changed, in_force = reply == "opened", reply != "counted"
            case Fault():
                changed, state = self._circuits.record_fault(finding, number_hash, probe=probe), "open"
            case Success():
                changed, state = self._circuits.record_success(finding, probe=probe), "closed"
        if changed:
            _log.warning("a circuit changed", extra={"scope": finding.scope, "state": state})
            self._count(finding.scope, state)
        return in_force

    def circuits(self) -> list[Circuit]:
        """Every breaker that the configuration has, the account's first. Raises StoreUnavailable."""
        senders = self._policy.senders.values()
        every = list(
            dict.fromkeys(scope for level in zip(*map(circuit.scopes, senders), strict=True) for scope in level)
        )
        return list(self._circuits.states(every).values())

    def ask_carrier(self, reports: ports.HealthReports) -> None:
        """Bring the carrier's ratios up to date, if it is time. Raises CarrierUnavailable and StoreUnavailable."""
        if (
            any(app.strategy is Strategy.HEALTHIEST for app in self._policy.apps.values())
            and self._sender_stats.claim_health_poll()
        ):
            self._sender_stats.record_health(reports.health(tuple(self._policy.senders.values())))
