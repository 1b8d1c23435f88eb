"""The judge's rules about responses, the store and the processes."""

from collections.abc import Iterator

from .breaches import ACCIDENT, LEFT, UNEXPECTED, Breach
from .case import RECOVERY_S, STORE_FAULTS, Case
from .evidence import Call
from .restarts import may_have_ended

_EXPECTED = {
    "start": {200, 201, 409, 429, 503},
    "check": {200, 410, 422, 429, 503},
    "cancel": {200, 410, 503},
    "redeem": {200, 410, 503},
    "factor enroll": {201, 503},
    "factor confirm": {200, 404, 410, 422, 503},
    "factor codes": {201, 503},
    "factor check": {200, 404, 409, 410, 422, 429, 503},
    "one factor check": {200, 404, 410, 422, 429, 503},
}


def unexpected_response(case: Case) -> Iterator[Breach]:
    """Every response has a status that the contract allows for the request."""
    for call in case.evidence.calls:
        if call.status is not None and call.status not in _expected(case, call):
            yield Breach(UNEXPECTED, call.verification_id or call.number, f"{call.kind}: {call.status} {call.code}")


def _expected(case: Case, call: Call) -> set[int]:
    names_another = call.kind == "check" and call.to not in ("", call.number)
    may_be_told = call.code == "opted_out" or names_another
    expected = _EXPECTED.get(call.kind, {call.status or 0}) | ({403, 404} if may_be_told else set())
    return expected | ({422} if _is_of_another_run(case, call) else set())


def _is_of_another_run(case: Case, call: Call) -> bool:
    """A receipt of before a restart of the store: whether it was redeemed is not known."""
    if call.code != "receipt_invalid":
        return False
    started = min((each.began for each in case.calls_of[call.verification_id]), default=call.began)
    return may_have_ended(case, started, call.ended)


def left_in_the_store(case: Case) -> Iterator[Breach]:
    """At the end the store has no outbox entry, no dead letter and no overdue timer."""
    facts = case.evidence.store
    for count, what in ((facts.outbox, "outbox entries"), (facts.dead, "dead letters"), (facts.overdue, "late timers")):
        if count:
            yield Breach(LEFT, what, f"{count} at the end")


def accident(case: Case) -> Iterator[Breach]:
    """No process ends by itself, unless it starts while the store is away, and no log has a traceback."""
    for text in case.evidence.accidents:
        yield Breach(ACCIDENT, text.partition(":")[0], text)
    for start in case.evidence.failed_starts:
        if not case.during(STORE_FAULTS, start.began - RECOVERY_S, start.ended):
            yield Breach(ACCIDENT, start.name, start.report)
