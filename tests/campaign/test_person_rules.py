"""The judge's rules about what persons want: opt-outs, denials and the number's budget."""

from dataclasses import replace
from typing import Any

from . import breaches
from .evidence import Event, Evidence, Fault, Reply, StoreFacts, Taken, mask_of
from .judge import judge
from .sample_evidence import (
    CALLS,
    CODE,
    EVENTS,
    NUMBER,
    T0,
    WRONG,
    call,
    delivery,
    event,
    kinds_after,
    request,
    sample,
    sms,
)

MASK = mask_of(NUMBER)
LEARNED = Event("00-o", T0 + 5.1, "optout.added", "", "", {"source": "inbound"}, MASK)


def stopped(learned: bool = True, **other: Any) -> Evidence:
    """The person replies STOP five seconds after the start."""
    events = (*EVENTS, LEARNED) if learned else EVENTS
    evidence = replace(sample(), events=events, store=StoreFacts(audit_events=len(events)))
    return replace(evidence, replies=(Reply(NUMBER, "STOP", T0 + 5),), **other)


def kinds(evidence: Evidence) -> set[str]:
    """The kinds of breach."""
    return {breach.kind for breach in judge(evidence).breaches}


def start_at(seconds: float) -> tuple[Any, ...]:
    """One more start that is accepted then."""
    return (*CALLS, call("start", seconds, 200, body={"deliveries": [delivery()]}))


def test_a_mask_is_the_services() -> None:
    """As the contract writes it."""
    assert mask_of("+12025550143") == "+1******0143"


def test_an_opt_out_stops_starts_and_sends() -> None:
    """From the moment at which it is recorded; until a START."""
    assert kinds(stopped()) == set()
    assert kinds(stopped(calls=(*CALLS, call("start", 6, 403, code="opted_out")))) == set()
    assert breaches.OPTED_OUT in kinds(stopped(calls=start_at(6)))
    assert breaches.OPTED_OUT in kinds(stopped(requests=(request(), request(began=7))))
    in_again = (Reply(NUMBER, "STOP", T0 + 5), Reply(NUMBER, "START", T0 + 5.5))
    assert breaches.OPTED_OUT not in kinds(replace(stopped(calls=start_at(6)), replies=in_again))


def test_an_opt_out_is_recorded() -> None:
    """Unless the webhook that told of it may be lost."""
    assert kinds(stopped(learned=False)) == {breaches.OPTED_OUT}
    assert kinds(stopped(learned=False, faults=(Fault("webhook_loss", T0 + 4, T0 + 6, "carrier"),))) == set()
    assert kinds(stopped(learned=False, faults=(Fault("webhook_loss", T0 + 1, T0 + 4, "carrier"),))) != set()


def test_a_machine_that_stands_still_may_lose_a_webhook() -> None:
    """What the service took it may not lose; the carrier tries for seconds only, and each try has two."""
    pauses = ((T0 + 5, T0 + 7), (T0 + 8, T0 + 9))
    assert kinds(stopped(learned=False, pauses=pauses)) == set()
    assert kinds(stopped(learned=False, pauses=((T0 + 5, T0 + 5.5),))) == {breaches.OPTED_OUT}
    taken = (Taken(NUMBER, "STOP", T0 + 6),)
    assert kinds(stopped(learned=False, pauses=pauses, taken=taken)) == {breaches.OPTED_OUT}
    denied = replace(sample(), replies=(Reply(NUMBER, "NO", T0 + 0.5),))
    assert kinds(denied) == {breaches.DENIED}
    assert kinds(replace(denied, pauses=((T0 + 1, T0 + 4),))) == set()


def test_a_worker_that_starts_may_learn_of_a_stop_from_the_carriers_list() -> None:
    """Before the webhook, which was refused while the store was away; a START may be sooner than both."""
    away = (Fault("kill_primary", T0 + 4.9, T0 + 6, "server1"),)
    listed = replace(stopped(), events=(*EVENTS, replace(LEARNED, detail={"source": "list"})))
    assert kinds(listed) == {breaches.OPTED_OUT}
    assert kinds(replace(listed, faults=away)) == set()
    in_again = (Reply(NUMBER, "STOP", T0 + 5), Reply(NUMBER, "START", T0 + 8))
    assert kinds(replace(stopped(learned=False), replies=in_again)) == {breaches.OPTED_OUT}
    assert kinds(replace(stopped(learned=False), replies=in_again, faults=away)) == set()


def test_the_carriers_refusal_is_no_record_of_a_stop() -> None:
    """It only comes because the service sent to a person who had opted out."""
    refused = replace(LEARNED, detail={"source": "carrier"})
    evidence = replace(stopped(), events=(*EVENTS, refused))
    assert kinds(evidence) == {breaches.OPTED_OUT}
    assert kinds(replace(evidence, faults=(Fault("webhook_loss", T0 + 4, T0 + 6, "carrier"),))) == set()


def test_nobody_is_opted_out_who_never_said_so() -> None:
    """A refusal that the person did not ask for."""
    refused = call("start", 6, 403, code="opted_out")
    assert kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, refused))) == {breaches.REFUSED}


TAKEN = Taken(NUMBER, "NO", T0 + 1.55)


def denied(*more: Any) -> Evidence:
    """The person denies a pending verification, and the service ends it."""
    events = (*EVENTS[:6], event("verification.denied", 1.6))
    evidence = sample(events, status="denied")
    replies = (Reply(NUMBER, "NO", T0 + 1.5),)
    return replace(evidence, replies=replies, taken=(TAKEN,), calls=(*CALLS[:2], *more))


def test_a_denied_code_is_worth_nothing() -> None:
    """It ends the verification, and the code is refused from then on."""
    assert kinds(denied(call("check", 2, 410, code="verification_denied", guess=CODE))) == set()
    approved = call("check", 2, 200, guess=CODE, body={"receipt": "r"})
    assert breaches.DENIED in kinds(denied(approved))


def with_denial(at: float, *taken: float, faults: tuple[Fault, ...] = ()) -> set[str]:
    """The kinds of breach if the person writes NO then, and the service takes it at these times."""
    told = tuple(Taken(NUMBER, "NO", T0 + each) for each in taken)
    replies = (Reply(NUMBER, "NO", T0 + at),)
    return kinds_after(lambda evidence: replace(evidence, replies=replies, taken=told, faults=faults))


def test_a_denial_that_was_taken_ends_the_verification() -> None:
    """If it was still pending then, whatever else happened, but for a failover that ended it."""
    assert with_denial(0.5, 0.6) == {breaches.DENIED}
    assert with_denial(0.5, 0.6, faults=(Fault("partition", T0, T0 + 3, "server1"),)) == {breaches.DENIED}
    assert with_denial(0.5, 0.6, faults=(Fault("elected", T0 + 0.4, T0 + 0.5, "server2"),)) == set()
    assert with_denial(0.5, 2.1) == set(), "it was approved before"
    assert with_denial(0.01, 0.02) == set(), "nothing had arrived"


def test_a_denial_is_taken_unless_something_kept_the_service_from_it() -> None:
    """The carrier tries for a few seconds."""
    assert with_denial(0.5) == {breaches.DENIED}
    for kind in ("webhook_loss", "partition", "stop_api"):
        assert with_denial(0.5, faults=(Fault(kind, T0, T0 + 3, "x"),)) == set()
    assert with_denial(0.5, faults=(Fault("partition", T0 + 60, T0 + 63, "x"),)) == {breaches.DENIED}


def test_a_spent_budget_is_the_numbers_end() -> None:
    """One wrong code was judged: with a limit of one nothing may follow it, with two it may."""
    assert kinds_after(lambda evidence: replace(evidence, wrong_codes_per_number=2)) == set()
    assert kinds_after(lambda evidence: replace(evidence, wrong_codes_per_number=1)) == {breaches.SPENT}
    refused = (*CALLS[:2], call("check", 2, 429, guess=CODE, code="too_many_wrong_codes"))
    quiet = sample((*EVENTS[:6], event("verification.expired", 20)), status="expired")
    assert kinds(replace(quiet, calls=refused, wrong_codes_per_number=1)) == set()
    assert breaches.REFUSED in kinds(replace(quiet, calls=refused, wrong_codes_per_number=2))
    later = (request(), request("dlv_a-b-2", 3))
    assert breaches.SPENT in kinds(replace(quiet, calls=refused, wrong_codes_per_number=1, requests=later))


def test_more_wrong_codes_than_the_budget() -> None:
    """They are counted by the audit log, over all verifications of the number."""
    wrong = call("check", 1.2, 422, code="code_incorrect", guess=WRONG)
    events = (*EVENTS[:6], event("check.failed", 1.2), *EVENTS[6:])
    evidence = replace(sample(events), calls=(*CALLS[:2], wrong, *CALLS[2:]), messages=(sms(),))
    assert kinds(replace(evidence, wrong_codes_per_number=3)) == set()
    assert kinds(replace(evidence, wrong_codes_per_number=1)) == {breaches.SPENT}
