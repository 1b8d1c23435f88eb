"""The judge's rules about responses: that there is one, soon, and that a refusal has a cause."""

from collections.abc import Iterator

from otp_service.storage.replica_guard import WAIT_MS

from .breaches import REFUSED, SHARDS, SILENT, SLOW, Breach
from .case import API_FAULTS, ELECTED, RECOVERY_S, STARTUP_S, STORE_FAULTS, Case
from .evidence import Call, Fault

ANSWERED_WITHIN_S = 2.5
"""A second is promised. The rest is a margin for a busy machine, and still less than a time-out that was raised."""

FEWEST_NUMBERS = 24
SERVED_SHARE = 0.08
"""The evidence does not say which numbers are on the dead shard, nor which requests had an Idempotency-Key or a subject
that is on it. So only a service that serves next to nobody is noticed: two fifths and more are expected, and of 24
numbers one or none is then served by chance once in ten thousand runs."""

FEWEST_ELSEWHERE = 12
REFUSED_SHARE = 0.25
"""Of calls that touch nothing on the dead shard none needs to be refused. The rest is a margin for a busy machine, on
which a replica of another shard is late."""

PAUSED_S = 1.0
"""A machine that ran nothing for longer shortly before or during a call may have made it be refused."""

ELECTED_S = 2.0
"""How long another shard may refuse after an election of its own, which a busy machine causes."""

LOOK_BACK_S = 3.0
ACKNOWLEDGED_WITHIN_S = WAIT_MS / 1000


def _is_in_time(case: Case, call: Call) -> bool:
    return call.ended - call.began <= ANSWERED_WITHIN_S + case.busy_s(call.began - LOOK_BACK_S, call.ended)


def no_response(case: Case) -> Iterator[Breach]:
    """Every request has a response, whatever the store does, unless its process was killed or stopped."""
    for call in case.evidence.calls:
        took = call.ended - call.began
        if call.status is None and not (case.is_excused(call) or (took > 1.0 and _is_in_time(case, call))):
            yield Breach(SILENT, _subject(call), f"{call.kind} at {', '.join(call.tried)}: nothing within {took:.1f} s")


def slow_response(case: Case) -> Iterator[Breach]:
    """A request is answered or refused soon, and `/healthz` is never behind work."""
    for call in (*case.evidence.calls, *case.evidence.probes):
        if call.status is not None and not (_is_in_time(case, call) or case.is_excused(call)):
            took = call.ended - call.began
            yield Breach(SLOW, _subject(call), f"{call.kind} at {call.api}: {call.status} after {took:.1f} s")


def refused_without_cause(case: Case) -> Iterator[Breach]:
    """A request is refused with 503 only while the store is away, while a process starts, or shortly after.

    Where the machine kept the campaign from running, it kept replicas from acknowledging.
    """
    for call in case.evidence.calls:
        if call.status == 503 and not (
            case.is_excused(call)
            or case.during(STORE_FAULTS, call.began - RECOVERY_S, call.ended)
            or case.during(API_FAULTS, call.began - STARTUP_S, call.ended)
            # A replica that runs nothing for so long has not acknowledged a write in time.
            or case.paused_s(call.began - LOOK_BACK_S, call.ended) > ACKNOWLEDGED_WITHIN_S
        ):
            yield Breach(REFUSED, _subject(call), f"{call.kind}: 503 {call.code} without a fault of the store")


def other_shards_refused(case: Case) -> Iterator[Breach]:
    """A dead shard does not stop the service: while one of three is down, some numbers are served."""
    refused, served = set[str](), set[str]()
    for fault in case.evidence.faults:
        if fault.kind == "shard_down":
            during = [call for call in case.evidence.calls if fault.began < call.began and call.ended < fault.ended]
            refused |= {call.number for call in during if call.status == 503}
            served |= {call.number for call in during if call.status not in (503, None)}
    if len(refused | served) >= FEWEST_NUMBERS and len(served) < SERVED_SHARE * len(refused | served):
        yield Breach(SHARDS, "shard_down", f"{len(served)} of {len(refused | served)} numbers were served meanwhile")


def other_numbers_refused(case: Case) -> Iterator[Breach]:
    """While one shard is dead, calls are served that touch nothing on it: neither number, nor what all calls share."""
    for fault in case.evidence.faults:
        if fault.kind == "shard_down":
            calls = [call for call in case.evidence.calls if _is_elsewhere(case, fault, call)]
            # One without a response is `no_response`'s.
            refused = [call for call in calls if call.status == 503]
            if len(calls) >= FEWEST_ELSEWHERE and len(refused) > REFUSED_SHARE * len(calls):
                first = f"{refused[0].kind} {refused[0].code}"
                detail = f"{len(refused)} of {len(calls)} calls about numbers on other shards were refused: {first}"
                yield Breach(SHARDS, fault.target, detail)


def _is_elsewhere(case: Case, fault: Fault, call: Call) -> bool:
    """Whether the call was made while the shard was dead, and certainly touched none of its slots."""
    slots = case.evidence.slots
    if not (fault.began < call.began and call.ended < fault.ended and call.number in slots and call.kind in slots):
        return False
    if call.keyed or call.subject or call.to not in ("", call.number):
        return False
    touched = (*slots[call.number], *slots[call.kind])
    if any(first <= slot <= last for first, last in fault.slots for slot in touched) or not fault.slots:
        return False
    disturbed = case.during(ELECTED, call.began - ELECTED_S, call.ended) or case.is_excused(call)
    return not (disturbed or case.paused_s(call.began - LOOK_BACK_S, call.ended) > PAUSED_S)


def _subject(call: Call) -> str:
    return call.verification_id or call.number or call.api
