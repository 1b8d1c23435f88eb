"""The judge's rules about sending: each breach is found, and each allowed exception is none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from . import breaches, causes
from .evidence import Evidence, Fault, Request
from .judge import judge
from .sample_evidence import (
    CALLS,
    DLV,
    EVENTS,
    EXPIRES,
    NEXT,
    T0,
    VRF,
    at,
    call,
    delivery,
    event,
    failed_over,
    kinds_after,
    request,
    sample,
    shown,
    sms,
    without,
)


def test_lost_if_no_sms_arrived_and_no_reason_is_stated() -> None:
    """An accepted start has no SMS, and its delivery is not final."""
    events = (*EVENTS[:3], *EVENTS[5:])
    evidence = replace(sample(events, delivery(status="sending")), messages=(), requests=())
    assert {breaches.LOST, breaches.STUCK} <= {breach.kind for breach in judge(evidence).breaches}


def test_lost_if_the_status_is_delivered_without_an_sms() -> None:
    """`delivered` without an SMS is no reason. It is an untrue status too."""
    assert {breaches.LOST, breaches.UNTRUE} <= kinds_after(lambda evidence: replace(evidence, messages=()))


def test_lost_if_the_verification_is_unknown() -> None:
    """Accepted, then 404."""
    assert breaches.LOST in kinds_after(lambda evidence: replace(evidence, verifications={VRF: None}))


def test_lost_if_an_accepted_delivery_is_missing() -> None:
    """Two sends were accepted and one is listed: the other is lost."""
    again = call("start", 5.0, 200, body={"expires_at": at(EXPIRES), "deliveries": [delivery(NEXT)]})
    assert breaches.LOST in kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, again)))


@pytest.mark.parametrize("status", ["failed", "suppressed", "expired", "unconfirmed"])
def test_not_lost_if_a_reason_is_stated(status: str) -> None:
    """A final status with an error or an event is a reason."""
    events = (*EVENTS[:3], event(f"delivery.{status}", 0.5, DLV), event("verification.expired", 20))
    evidence = replace(
        sample(events, delivery(status=status), status="expired"), messages=(), requests=(), calls=CALLS[:1]
    )
    verdict = judge(evidence)
    assert verdict.breaches == []
    assert verdict.reasons == {status: 1}


def test_a_final_status_without_error_and_event_is_no_reason() -> None:
    """It is lost, and the audit log has a gap."""
    events = (*EVENTS[:3], event("verification.expired", 20))
    evidence = replace(
        sample(events, delivery(status="failed"), status="expired"), messages=(), requests=(), calls=CALLS[:1]
    )
    assert {breaches.LOST, breaches.GAP} == {breach.kind for breach in judge(evidence).breaches}


@pytest.mark.parametrize("status", ["queued", "sending", "sent", "unknown"])
def test_stuck_if_a_delivery_is_not_final(status: str) -> None:
    """Even if the SMS arrived: the service does not know."""
    evidence = sample(without("delivery.delivered"), delivery(status=status))
    assert {breach.kind for breach in judge(evidence).breaches} == {breaches.STUCK}


def test_stuck_if_a_delivery_became_final_too_late() -> None:
    """More than a minute after the code expired."""
    late = (*without("delivery.delivered"), event("delivery.unconfirmed", 81, DLV))
    assert {breach.kind for breach in judge(sample(late, delivery(status="unconfirmed"))).breaches} == {breaches.STUCK}


def test_stuck_if_a_verification_is_still_pending() -> None:
    """Long after its code expired."""
    evidence = replace(sample(EVENTS[:5], status="pending"), calls=CALLS[:1])
    assert {breach.kind for breach in judge(evidence).breaches} == {breaches.STUCK}


def test_duplicate_if_there_is_no_cause() -> None:
    """Two SMS of one send, and no response was lost."""
    assert kinds_after(lambda evidence: replace(evidence, messages=(sms(), sms(number="m2")))) == {breaches.DUPLICATE}


@pytest.mark.parametrize(
    "change",
    [
        lambda evidence: replace(evidence, requests=(request(status=None), request(began=3))),
        lambda evidence: replace(evidence, faults=(Fault("half_body", T0, T0 + 1, "carrier"),)),
        lambda evidence: replace(evidence, faults=(Fault("kill_worker", T0, T0 + 0.5, "worker1"),)),
        lambda evidence: replace(evidence, requests=(replace(request(), answered_at=T0 + 6),)),
    ],
)
def test_a_lost_response_is_a_cause(change: Callable[[Evidence], Evidence]) -> None:
    """The service could not know that the first SMS was accepted."""
    verdict = judge(change(replace(sample(), messages=(sms(), sms(number="m2")))))
    assert verdict.breaches == []
    assert verdict.causes == {causes.RESPONSE_LOST: 1}


def test_a_fault_at_another_time_is_no_cause() -> None:
    """A worker that was killed ten seconds later is no cause."""
    fault = Fault("kill_worker", T0 + 10, T0 + 11, "worker1")
    assert kinds_after(lambda evidence: replace(evidence, messages=(sms(), sms(number="m2")), faults=(fault,))) == {
        breaches.DUPLICATE
    }


def test_failover_without_need_is_a_duplicate() -> None:
    """The first SMS arrived and its report was not delayed, so the second needs another cause."""
    evidence = replace(failed_over("unconfirmed"), messages=(sms(), sms(NEXT, 0.5, "m2")))
    assert {breach.kind for breach in judge(evidence).breaches} == {breaches.DUPLICATE}
    excused = judge(replace(evidence, faults=(Fault("webhook_delay", T0, T0 + 1, "carrier"),)))
    assert excused.breaches == []
    assert excused.causes == {causes.REPORT_LATE: 1}


def test_an_sms_that_the_carrier_held_is_a_cause() -> None:
    """The first SMS arrived only after the second sender was used."""
    held = failed_over("unconfirmed")
    verdict = judge(replace(held, messages=(sms(seconds=9), sms(NEXT, 0.5, "m2"))))
    assert verdict.breaches == []
    assert verdict.causes == {causes.HELD: 1}


def test_an_sms_of_an_unknown_delivery_is_a_duplicate() -> None:
    """The service must list every delivery that it sends."""
    assert breaches.DUPLICATE in kinds_after(
        lambda evidence: replace(evidence, messages=(sms(), sms("dlv_x-y-1", 1, "m2")))
    )


@pytest.mark.parametrize("status", ["suppressed", "expired", "failed"])
def test_untrue_if_the_status_excludes_the_sms_that_arrived(status: str) -> None:
    """The SMS is on the phone."""
    events = (*EVENTS[:4], event(f"delivery.{status}", 0.5, DLV), *EVENTS[5:])
    assert {breach.kind for breach in judge(sample(events, delivery(status=status))).breaches} == {breaches.UNTRUE}


def test_late_if_sent_after_expiry() -> None:
    """An expired code is never sent, unless the worker was stopped just before it."""
    late = request(began=20.2)
    assert kinds_after(lambda evidence: replace(evidence, requests=(late,))) == {breaches.LATE}
    fault = Fault("stop_worker", T0 + 18, T0 + 20.1, "worker1")
    assert kinds_after(lambda evidence: replace(evidence, requests=(late,), faults=(fault,))) == set()


@pytest.mark.parametrize("repeat", [request(began=3, content="other"), request(began=3, status=422)])
def test_a_repeat_with_other_bytes_is_reported(repeat: Request) -> None:
    """A repeat with the same key has the same bytes, and the carrier does not refuse it."""
    assert kinds_after(lambda evidence: replace(evidence, requests=(request(), repeat))) == {breaches.BYTES}


def test_two_pending_verifications_of_a_number_are_reported() -> None:
    """A double click must make one verification."""
    other = replace(CALLS[0], verification_id="vrf_c-d", body={})
    second = {**shown(EVENTS), "verification_id": "vrf_c-d", "deliveries": [], "created_at": at(T0 + 1)}
    found = kinds_after(
        lambda evidence: replace(
            evidence, calls=(*CALLS, other), verifications={**evidence.verifications, "vrf_c-d": second}
        )
    )
    assert breaches.TWICE in found


def test_the_step_that_ends_one_verification_may_begin_the_next() -> None:
    """Its entry in the audit log is a moment later than the step on a busy machine."""
    late = tuple(replace(each, at=each.at + 0.06) for each in EVENTS)
    other = replace(CALLS[0], verification_id="vrf_c-d", body={})

    def kinds(began: float) -> set[str]:
        second = {**shown(()), "verification_id": "vrf_c-d", "deliveries": [], "created_at": at(T0 + began)}
        known = {**sample().verifications, "vrf_c-d": second}
        return kinds_after(lambda e: replace(e, calls=(*CALLS, other), events=late, verifications=known))

    assert breaches.TWICE not in kinds(2.0)
    assert breaches.TWICE in kinds(1.9)
