"""The evidence, indexed for the judge's rules."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from .evidence import Call, Event, Evidence, Message, Request, moment, verification_part

CLIENT_TIMEOUT_S = 4.5
"""A slower response did not reach the service, which waits five seconds. The rest is a margin for a busy machine."""

RESPONSE_FAULTS = frozenset({"half_body", "timeout", "reset_after_request", "slow"})
FAILOVER_EVENT = "delivery.fell_back"

API_FAULTS = frozenset({"kill_api", "kill_api_child", "stop_api"})
ELECTIONS = frozenset({"planned_failover", "kill_primary", "hang_primary", "partition", "shard_down", "elected"})
"""Faults after which another server may be the primary, and that it became one."""

ELECTED = frozenset({"elected"})
STORE_FAULTS = frozenset({"kill_store", "stop_store", "kill_connections", "flush_scripts"}) | ELECTIONS
WORKER_FAULTS = STORE_FAULTS | {"kill_worker", "stop_worker", "kill_api"}
STARTUP_S = 10.0
"""How long a process may take until it serves after it was started again."""

RECOVERY_S = 5.0
"""How long after a fault of the store requests may still be refused: the wait for a new connection, and a margin."""

BUSY_FACTOR = 3.0
"""So many times what the campaign was kept from running may be added to a wait, during it and shortly before it."""

ENDED_EVENT = {
    "approved": "verification.approved",
    "expired": "verification.expired",
    "exhausted": "verification.exhausted",
    "canceled": "verification.canceled",
    "denied": "verification.denied",
}
"""The event of each final status of a verification."""

Item = TypeVar("Item")


class Groups(dict[str, list[Item]]):
    """Lists by name. Reading an unknown name gives an empty list and adds nothing."""

    def __missing__(self, name: str) -> list[Item]:
        return []


def group_by(items: Iterable[Item], key: Callable[[Item], str]) -> Groups[Item]:
    """The items by their key."""
    found: Groups[Item] = Groups()
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


@dataclass(slots=True)
class Send:
    """One accepted start: its first delivery, the deliveries after failover, and the messages that arrived."""

    verification_id: str
    chain: list[str]
    accepted_at: float
    copies: list[Message] = field(default_factory=list)


class Case:
    """The evidence with its indexes."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.calls_of = group_by(evidence.calls, lambda call: call.verification_id)
        self.events_of = group_by(evidence.events, lambda event: event.verification_id)
        self.requests_of = group_by(evidence.requests, lambda request: request.key)
        self.copies_of = group_by(evidence.messages, lambda message: message.delivery_id)
        self.events_about = group_by(evidence.events, lambda event: event.to)
        self.messages_of = group_by(evidence.messages, lambda message: verification_of(message.delivery_id))

    @cached_property
    def deliveries(self) -> dict[str, Mapping[str, Any]]:
        """Every delivery that the service lists, by id."""
        shown = (found for found in self.evidence.verifications.values() if found is not None)
        return {str(delivery["delivery_id"]): delivery for found in shown for delivery in found["deliveries"]}

    @cached_property
    def failovers(self) -> dict[str, str]:
        """From a delivery to the one that replaced it."""
        events = [event for event in self.evidence.events if event.type == FAILOVER_EVENT]
        found = {event.delivery_id: str(event.detail.get("to", "")) for event in events}
        for verification in self.evidence.verifications.values():
            for entry in (verification or {}).get("timeline", ()):
                if entry["event"] == FAILOVER_EVENT:
                    found.setdefault(str(entry["delivery_id"]), str(entry["detail"].get("to", "")))
        return found

    def failed_over_at(self, delivery_id: str) -> float:
        """When the next sender was chosen for it; infinite if there is no such event."""
        events = self.events_of[verification_of(delivery_id)]
        chosen = (e.at for e in events if e.type == FAILOVER_EVENT and e.delivery_id == delivery_id)
        return min(chosen, default=math.inf)

    @cached_property
    def sends(self) -> list[Send]:
        """The accepted starts. Repeated responses about the same delivery count once."""
        replaced = {later: earlier for earlier, later in self.failovers.items()}
        accepted: dict[tuple[str, str], float] = {}
        for call in self.evidence.calls:
            if call.kind != "start" or not call.good or not call.body.get("deliveries"):
                continue
            first = str(call.body["deliveries"][-1]["delivery_id"])
            while first in replaced:
                first = replaced[first]
            name = (call.verification_id, first)
            accepted[name] = min(call.ended, accepted.get(name, math.inf))
        return [self._send(verification, first, at) for (verification, first), at in accepted.items()]

    def _send(self, verification: str, first: str, at: float) -> Send:
        chain = [first]
        while chain[-1] in self.failovers and self.failovers[chain[-1]] not in chain:
            chain.append(self.failovers[chain[-1]])
        copies = sorted((copy for each in chain for copy in self.copies_of[each]), key=lambda copy: copy.received_at)
        return Send(verification, chain, at, copies)

    def expires(self, verification_id: str) -> float:
        """When the verification's code expires; infinite if that is not known."""
        found = self.evidence.verifications.get(verification_id)
        return moment(str(found["expires_at"])) if found else math.inf

    def codes(self, verification_id: str) -> set[str]:
        """The codes that reached the person."""
        return {message.code for message in self.messages_of[verification_id]}

    def approvals(self, verification_id: str) -> int:
        """How often it was approved, by the audit log or by its status."""
        events = sum(event.type == "verification.approved" for event in self.events_of[verification_id])
        found = self.evidence.verifications.get(verification_id) or {}
        return max(events, int(found.get("status") == "approved"))

    def during(self, kinds: frozenset[str], began: float, ended: float) -> bool:
        """Whether a fault of these kinds was active in that time."""
        return any(
            fault.kind in kinds and fault.began <= ended and fault.ended >= began for fault in self.evidence.faults
        )

    def is_excused(self, call: Call) -> bool:
        """Whether a process that the call was sent to was killed or stopped."""
        return any(
            fault.kind in API_FAULTS
            and fault.target in call.tried
            and fault.began <= call.ended
            and fault.ended + STARTUP_S >= call.began
            for fault in self.evidence.faults
        )

    def paused_s(self, began: float, ended: float) -> float:
        """For how long the campaign itself did not run in that time."""
        return sum(max(0.0, min(ended, last) - max(began, first)) for first, last in self.evidence.pauses)

    def busy_s(self, began: float, ended: float) -> float:
        """By how much what the service did in that time may have been late. A machine that kept the campaign from
        running kept the service from it, too, and what waits then takes turns."""
        return BUSY_FACTOR * self.paused_s(began, ended)

    def was_ended_early(self, verification_id: str) -> bool:
        """Whether its code ended before its time, as codes do that began before a restart of the store."""
        ended = [e.at for e in self.events_of[verification_id] if e.type == ENDED_EVENT["expired"]]
        return any(at < self.expires(verification_id) - 1.0 for at in ended)

    def checks_of(self, verification_id: str) -> list[Call]:
        """The callers' checks of a verification."""
        return [call for call in self.calls_of[verification_id] if call.kind == "check"]

    @cached_property
    def verifications_of(self) -> Groups[str]:
        """The verifications of each number, by the callers' starts."""
        starts = [call for call in self.evidence.calls if call.kind == "start" and call.good]
        found = group_by(starts, lambda call: call.number)
        return Groups((number, sorted({call.verification_id for call in calls})) for number, calls in found.items())

    @cached_property
    def wrong_codes(self) -> Groups[float]:
        """The sorted times at which wrong codes of each number were judged, by the audit log."""
        return Groups(
            (number, sorted(e.at for name in names for e in self.events_of[name] if e.type == "check.failed"))
            for number, names in self.verifications_of.items()
        )

    def response_lost(self, delivery_id: str) -> bool:
        """Whether the carrier's response to one of the delivery's requests may not have arrived or been recorded."""
        return any(self._lost(request) for request in self.requests_of[delivery_id])

    def _lost(self, request: Request) -> bool:
        if request.status is None or request.answered_at is None:
            return True
        if request.answered_at - request.received_at > CLIENT_TIMEOUT_S:
            return True
        if self.during(RESPONSE_FAULTS, request.received_at, request.answered_at):
            return True
        return self.during(WORKER_FAULTS, request.received_at, request.answered_at + 1.0)

    @cached_property
    def successes(self) -> Groups[float]:
        """The sorted times of successes: `response` of any API process and of each, `send`, `report`."""
        found: Groups[float] = Groups()
        for call in self.evidence.calls:
            if call.good:
                found.setdefault("response", []).append(call.ended)
                found.setdefault(call.api, []).append(call.ended)
        found["send"] = [request.received_at for request in self.evidence.requests if request.status == 200]
        found["report"] = [event.at for event in self.evidence.events if event.type == "delivery.delivered"]
        for times in found.values():
            times.sort()
        return found


def verification_of(delivery_id: str) -> str:
    """The verification that a delivery belongs to."""
    return f"vrf_{verification_part(delivery_id)}"


def is_guess_event(event: Event) -> bool:
    """Whether the event records a judged guess."""
    return event.type in {"check.failed", "verification.approved"}
