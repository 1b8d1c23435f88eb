"""The judge notices: a healthy piece of evidence passes, and each kind of doctored one is caught by its own name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from . import judge as bench
from .evidence import Call, Event, Evidence, Fault, Message, Request, StoreFacts
from .judge import judge

T0 = 1_800_000_000.0
EXPIRES = T0 + 20
VRF, DLV, NEXT = "vrf_a-b", "dlv_a-b-1", "dlv_a-b-2"
CODE, WRONG, NUMBER = "123456", "654321", "+12025000000"


def at(seconds: float) -> str:
    """A time of the run as the service writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def delivery(name: str = DLV, status: str = "delivered", error: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A delivery as GET /verify/{id} shows it."""
    return {
        "delivery_id": name,
        "status": status,
        "error": error,
        "queued_at": at(T0),
        "updated_at": at(T0 + 1),
    }


def event(kind: str, seconds: float = 0.0, name: str = "", detail: Mapping[str, Any] | None = None) -> Event:
    """An audit event; its time is its number."""
    return Event(f"00-{seconds}-{kind}-{name}", T0 + seconds, kind, VRF, name, detail or {})


LIFE = (
    event("verification.started"),
    event("delivery.queued", 0.001, DLV),
    event("delivery.sending", 0.01, DLV, {"try": 1}),
    event("delivery.sent", 0.02, DLV),
    event("delivery.delivered", 0.5, DLV),
    event("check.failed", 1.0),
    event("verification.approved", 2.0),
    event("receipt.redeemed", 2.5),
)


def call(kind: str, began: float, status: int | None, **other: Any) -> Call:
    """A caller's request."""
    return Call(kind, NUMBER, T0 + began, T0 + began + 0.02, status, verification_id=VRF, api="api1", **other)


CALLS = (
    call("start", 0.0, 201, body={"expires_at": at(EXPIRES), "deliveries": [delivery(status="queued")]}),
    call("check", 1.0, 422, code="code_incorrect", guess=WRONG),
    call("check", 2.0, 200, guess=CODE, body={"approved_at": at(T0 + 2), "receipt": "r"}),
    call("redeem", 2.5, 200),
)


def shown(events: tuple[Event, ...], *deliveries: dict[str, Any], status: str = "approved") -> dict[str, Any]:
    """GET /verify/{id}, with the timeline that belongs to the events."""
    return {
        "verification_id": VRF,
        "status": status,
        "created_at": at(T0),
        "expires_at": at(EXPIRES),
        "deliveries": list(deliveries or (delivery(),)),
        "timeline": [
            {"event": each.type, "at": at(each.at), "delivery_id": each.delivery_id or None, "detail": each.detail}
            for each in events
        ],
    }


def request(key: str = DLV, began: float = 0.01, status: int | None = 200, content: str = "bytes") -> Request:
    """A send at the carrier."""
    return Request(key, NUMBER, content, status, T0 + began, None if status is None else T0 + began + 0.005)


def sms(name: str = DLV, seconds: float = 0.1, number: str = "m1") -> Message:
    """A message on the handset."""
    return Message(number, NUMBER, CODE, T0 + seconds, name)


def scene(events: tuple[Event, ...] = LIFE, *deliveries: dict[str, Any], status: str = "approved") -> Evidence:
    """Evidence in which everything is as it should be, but for what the arguments say."""
    return Evidence(
        max_checks=5,
        judged_at=EXPIRES + 61,
        calls=CALLS,
        messages=(sms(),),
        requests=(request(),),
        verifications={VRF: shown(events, *deliveries, status=status)},
        events=events,
        store=StoreFacts(audit_events=len(events)),
    )


def after(change: Callable[[Evidence], Evidence]) -> set[str]:
    """The kinds of breach in a healthy scene that was doctored."""
    return {breach.kind for breach in judge(change(scene())).breaches}


def without(kind: str) -> tuple[Event, ...]:
    """The healthy life less one kind of event."""
    return tuple(each for each in LIFE if each.type != kind)


def failed_over(first: str = "failed") -> Evidence:
    """The first sender failed by the service's account, the second delivered."""
    events = (
        *LIFE[:4],
        event(f"delivery.{first}", 0.3, DLV, {"code": "40008"}),
        event("delivery.fell_back", 0.31, DLV, {"to": NEXT}),
        event("delivery.queued", 0.32, NEXT),
        event("delivery.sending", 0.33, NEXT),
        event("delivery.sent", 0.34, NEXT),
        event("delivery.delivered", 0.6, NEXT),
        *LIFE[5:],
    )
    one = delivery(status=first, error={"code": "40008", "title": "Undeliverable"})
    made = scene(events, one, delivery(NEXT))
    return replace(made, messages=(sms(NEXT, 0.5),), requests=(request(), request(NEXT, 0.33)))


def test_a_healthy_scene_holds() -> None:
    """Nothing to complain about, and the figures say what happened."""
    verdict = judge(scene())
    assert verdict.breaches == []
    assert (verdict.figures["accepted"], verdict.figures["delivered exactly once"]) == (1, 1)
    assert list(verdict.to_handset_s) == [pytest.approx(0.08)]


def test_a_fail_over_after_a_failure_is_delivered_once() -> None:
    """Two deliveries, one SMS: the chain of a send is one send."""
    verdict = judge(failed_over())
    assert verdict.breaches == []
    assert verdict.figures["delivered exactly once"] == 1


# ---- sends ----------------------------------------------------------------------------------------------------------


def test_lost_when_nothing_came_and_nothing_is_said() -> None:
    """No SMS of an accepted start, and its delivery only says that it is on its way."""
    events = (*LIFE[:3], *LIFE[5:])
    evidence = replace(scene(events, delivery(status="sending")), messages=(), requests=())
    assert {bench.LOST, bench.STUCK} <= {breach.kind for breach in judge(evidence).breaches}


def test_lost_when_it_is_said_to_have_come() -> None:
    """`delivered` without an SMS is no reason; it is an untruth beside."""
    assert {bench.LOST, bench.UNTRUE} <= after(lambda evidence: replace(evidence, messages=()))


def test_lost_when_the_service_does_not_know_it_any_more() -> None:
    """Accepted, then 404."""
    assert bench.LOST in after(lambda evidence: replace(evidence, verifications={VRF: None}))


def test_lost_when_the_accepted_delivery_is_gone() -> None:
    """Accepted twice, one send on record: the other is lost."""
    again = call("start", 5.0, 200, body={"expires_at": at(EXPIRES), "deliveries": [delivery(NEXT)]})
    assert bench.LOST in after(lambda evidence: replace(evidence, calls=(*CALLS, again)))


@pytest.mark.parametrize("status", ["failed", "suppressed", "expired", "unconfirmed"])
def test_a_stated_reason_is_no_loss(status: str) -> None:
    """A terminal status with an error or an event that says so stands for the SMS that never came."""
    events = (*LIFE[:3], event(f"delivery.{status}", 0.5, DLV), event("verification.expired", 20))
    evidence = replace(
        scene(events, delivery(status=status), status="expired"), messages=(), requests=(), calls=CALLS[:1]
    )
    verdict = judge(evidence)
    assert verdict.breaches == []
    assert verdict.reasons == {status: 1}


def test_a_terminal_word_alone_is_no_reason() -> None:
    """`failed` with neither an error nor an event is a loss, and a gap."""
    events = (*LIFE[:3], event("verification.expired", 20))
    evidence = replace(
        scene(events, delivery(status="failed"), status="expired"), messages=(), requests=(), calls=CALLS[:1]
    )
    assert {bench.LOST, bench.GAP} == {breach.kind for breach in judge(evidence).breaches}


@pytest.mark.parametrize("status", ["queued", "sending", "sent", "unknown"])
def test_stuck_when_a_delivery_has_not_ended(status: str) -> None:
    """Even if the SMS arrived: the service never came to know."""
    evidence = scene(without("delivery.delivered"), delivery(status=status))
    assert {breach.kind for breach in judge(evidence).breaches} == {bench.STUCK}


def test_stuck_when_it_ended_too_late() -> None:
    """More than a minute after the code had run out."""
    late = (*without("delivery.delivered"), event("delivery.unconfirmed", 81, DLV))
    assert {breach.kind for breach in judge(scene(late, delivery(status="unconfirmed"))).breaches} == {bench.STUCK}


def test_stuck_when_a_verification_is_still_pending() -> None:
    """Long after its code has run out."""
    evidence = replace(scene(LIFE[:5], status="pending"), calls=CALLS[:1])
    assert {breach.kind for breach in judge(evidence).breaches} == {bench.STUCK}


def test_a_duplicate_without_a_cause() -> None:
    """Two SMS of one send, and every answer arrived."""
    assert after(lambda evidence: replace(evidence, messages=(sms(), sms(number="m2")))) == {bench.DUPLICATE}


@pytest.mark.parametrize(
    "doctor",
    [
        lambda evidence: replace(evidence, requests=(request(status=None), request(began=3))),
        lambda evidence: replace(evidence, faults=(Fault("half_body", T0, T0 + 1, "carrier"),)),
        lambda evidence: replace(evidence, faults=(Fault("kill_worker", T0, T0 + 0.5, "worker1"),)),
        lambda evidence: replace(evidence, requests=(replace(request(), answered_at=T0 + 6),)),
    ],
)
def test_a_duplicate_with_a_lost_answer_has_a_cause(doctor: Callable[[Evidence], Evidence]) -> None:
    """Nobody could know that the first had arrived."""
    verdict = judge(doctor(replace(scene(), messages=(sms(), sms(number="m2")))))
    assert verdict.breaches == []
    assert verdict.causes == {bench.ANSWER_LOST: 1}


def test_a_fault_at_another_time_is_no_cause() -> None:
    """A worker killed ten seconds later explains nothing."""
    fault = Fault("kill_worker", T0 + 10, T0 + 11, "worker1")
    assert after(lambda evidence: replace(evidence, messages=(sms(), sms(number="m2")), faults=(fault,))) == {
        bench.DUPLICATE
    }


def test_a_fail_over_that_had_no_need_is_a_duplicate() -> None:
    """The first sender's SMS arrived and could be known to have: `unconfirmed` and a second SMS need a cause."""
    evidence = replace(failed_over("unconfirmed"), messages=(sms(), sms(NEXT, 0.5, "m2")))
    assert {breach.kind for breach in judge(evidence).breaches} == {bench.DUPLICATE}
    excused = judge(replace(evidence, faults=(Fault("webhook_delay", T0, T0 + 1, "carrier"),)))
    assert excused.breaches == []
    assert excused.causes == {bench.RECEIPT_LATE: 1}


def test_a_message_that_the_carrier_held_is_a_cause() -> None:
    """It came only after the next sender had been asked: until then nobody could know that it would."""
    held = failed_over("unconfirmed")
    verdict = judge(replace(held, messages=(sms(seconds=9), sms(NEXT, 0.5, "m2"))))
    assert verdict.breaches == []
    assert verdict.causes == {bench.HELD: 1}


def test_an_sms_of_an_unknown_delivery_is_a_duplicate() -> None:
    """What the service does not know it must not have sent."""
    assert bench.DUPLICATE in after(lambda evidence: replace(evidence, messages=(sms(), sms("dlv_x-y-1", 1, "m2"))))


@pytest.mark.parametrize("status", ["suppressed", "expired", "failed"])
def test_a_status_that_denies_an_sms_is_untrue(status: str) -> None:
    """The handset knows better."""
    events = (*LIFE[:4], event(f"delivery.{status}", 0.5, DLV), *LIFE[5:])
    assert {breach.kind for breach in judge(scene(events, delivery(status=status))).breaches} == {bench.UNTRUE}


def test_a_late_send() -> None:
    """An expired code is never sent; only a worker that was stopped on the way to the wire is excused."""
    late = request(began=20.2)
    assert after(lambda evidence: replace(evidence, requests=(late,))) == {bench.LATE}
    fault = Fault("stop_worker", T0 + 18, T0 + 20.1, "worker1")
    assert after(lambda evidence: replace(evidence, requests=(late,), faults=(fault,))) == set()


@pytest.mark.parametrize("repeat", [request(began=3, content="other"), request(began=3, status=422)])
def test_changed_bytes(repeat: Request) -> None:
    """A repeat under the same key has the same bytes, and the carrier never says otherwise."""
    assert after(lambda evidence: replace(evidence, requests=(request(), repeat))) == {bench.BYTES}


def test_two_pending_at_once() -> None:
    """A double click makes one verification."""
    other = replace(CALLS[0], verification_id="vrf_c-d", body={})
    second = {**shown(LIFE), "verification_id": "vrf_c-d", "deliveries": [], "created_at": at(T0 + 1)}
    found = after(
        lambda evidence: replace(
            evidence, calls=(*CALLS, other), verifications={**evidence.verifications, "vrf_c-d": second}
        )
    )
    assert bench.TWICE in found


# ---- guesses and approvals ------------------------------------------------------------------------------------------


def approved_with(**other: Any) -> set[str]:
    """The kinds of breach when the approving check is another."""
    return after(lambda evidence: replace(evidence, calls=(*CALLS[:2], replace(CALLS[2], **other), CALLS[3])))


def test_a_false_approval_of_a_wrong_code() -> None:
    """Another code than the handset's was let in."""
    assert approved_with(guess=WRONG) == {bench.FALSE}


def test_a_false_approval_after_expiry() -> None:
    """By the caller's clock, or by the service's own word."""
    assert bench.FALSE in approved_with(began=EXPIRES + 0.1)
    assert bench.FALSE in approved_with(body={"approved_at": at(EXPIRES + 0.1)})


@pytest.mark.parametrize(
    "closing", [call("cancel", 1.5, 200), call("check", 1.5, 410, code="attempts_exhausted", guess=WRONG)]
)
def test_a_false_approval_of_what_had_ended(closing: Call) -> None:
    """Canceled or exhausted, and then approved."""
    assert bench.FALSE in after(lambda evidence: replace(evidence, calls=(*CALLS, closing)))


def test_a_false_approval_that_nobody_asked_for() -> None:
    """The record says approved, and no caller presented the right code: an unanswered check would have."""
    assert bench.FALSE in after(lambda evidence: replace(evidence, calls=CALLS[:2]))
    unanswered = call("check", 2.0, None, guess=CODE)
    assert after(lambda evidence: replace(evidence, calls=(*CALLS[:2], unanswered))) == set()


def test_a_double_approval_by_answers() -> None:
    """Two callers were told 200."""
    assert after(lambda evidence: replace(evidence, calls=(*CALLS, CALLS[2]))) == {bench.DOUBLE}


def test_a_double_approval_on_record() -> None:
    """One answer was lost; the record counts both."""
    events = (*LIFE, event("verification.approved", 3.0))
    assert {breach.kind for breach in judge(scene(events)).breaches} == {bench.DOUBLE, bench.GAP}


def test_a_receipt_that_was_spent_twice() -> None:
    """It is good for one login."""
    assert after(lambda evidence: replace(evidence, calls=(*CALLS, CALLS[3]))) == {bench.DOUBLE}


def test_over_budget_by_answers_and_on_record() -> None:
    """More judged guesses than the budget has, whoever counts them."""
    wrong = tuple(CALLS[1] for _ in range(5))
    assert bench.BUDGET in after(lambda evidence: replace(evidence, calls=(*CALLS, *wrong)))
    failures = tuple(event("check.failed", 1 + turn / 10) for turn in range(1, 5))
    events = (*LIFE[:6], *failures, *LIFE[6:])
    assert {breach.kind for breach in judge(scene(events)).breaches} == {bench.BUDGET}


def test_a_false_refusal() -> None:
    """The right code was called wrong."""
    refused = replace(CALLS[1], guess=CODE)
    assert after(lambda evidence: replace(evidence, calls=(CALLS[0], refused, *CALLS[2:]))) == {bench.REFUSED}


# ---- the record -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted({each.type for each in LIFE}))
def test_a_gap_in_the_record(kind: str) -> None:
    """Whichever event is missing where the timeline has it."""
    kept = without(kind)
    evidence = replace(scene(), events=kept, store=StoreFacts(audit_events=len(kept)))
    assert bench.GAP in {breach.kind for breach in judge(evidence).breaches}


@pytest.mark.parametrize("kind", [*sorted({each.type for each in LIFE} - {"delivery.sending", "delivery.sent"})])
def test_a_gap_in_record_and_timeline_alike(kind: str) -> None:
    """What callers were told has happened, and what stands, is on record; the timeline is no alibi."""
    assert bench.GAP in {breach.kind for breach in judge(scene(without(kind))).breaches}


@pytest.mark.parametrize(
    "events",
    [
        (*LIFE, LIFE[-1]),
        (*LIFE, event("delivery.delivered", 4, DLV)),
        (*LIFE[:5], LIFE[6], LIFE[5], LIFE[7]),
        (*LIFE[1:], LIFE[0]),
    ],
)
def test_an_event_twice_or_out_of_order(events: tuple[Event, ...]) -> None:
    """Each once, in order of time."""
    assert bench.GAP in {breach.kind for breach in judge(scene(events)).breaches}


def test_the_record_may_tell_more_than_the_timeline() -> None:
    """An opt-out belongs to the person and a refused start to its caller, not to the verification's story."""
    events = (*LIFE[:5], event("optout.added", 0.7, DLV), event("verification.refused", 0.8), *LIFE[5:])
    assert judge(replace(scene(), events=events, store=StoreFacts(audit_events=len(events)))).breaches == []


def test_a_listing_that_is_not_the_store() -> None:
    """GET /audit/events lists what the store holds."""
    assert after(lambda evidence: replace(evidence, store=StoreFacts(audit_events=99))) == {bench.GAP}


# ---- everything else ------------------------------------------------------------------------------------------------


def test_an_answer_that_is_in_no_contract() -> None:
    """An internal error is never the right answer; no answer at all is nobody's breach."""
    broken, silent = call("check", 1.2, 500, guess=WRONG), call("check", 1.2, None, guess=WRONG)
    assert after(lambda evidence: replace(evidence, calls=(*CALLS, broken))) == {bench.STRANGE}
    assert after(lambda evidence: replace(evidence, calls=(*CALLS, silent))) == set()


@pytest.mark.parametrize("name", ["outbox", "dead", "overdue"])
def test_what_is_left_in_the_store(name: str) -> None:
    """Work that nobody did."""
    assert after(lambda evidence: replace(evidence, store=replace(evidence.store, **{name: 1}))) == {bench.LEFT}


def test_an_accident() -> None:
    """A process that ends by itself is told."""
    assert after(lambda evidence: replace(evidence, accidents=("api1: ended",))) == {bench.ACCIDENT}


def test_recovery_is_measured_at_what_was_hit() -> None:
    """From the fault's end to the next success of that very process, of the carrier, or of a receipt."""
    faults = (
        Fault("kill_api", T0 + 0.5, T0 + 1.02, "api1"),
        Fault("kill_api", T0 + 0.5, T0 + 1.0, "api2"),
        Fault("http_500", T0 - 1, T0, "carrier"),
        Fault("webhook_loss", T0 - 1, T0 + 0.2, "carrier"),
    )
    rows = {row.kind: list(row.seconds) for row in judge(replace(scene(), faults=faults)).recovery}
    assert rows["kill_api"] == [pytest.approx(1.0), None]
    assert rows["http_500"] == [pytest.approx(0.01)]
    assert rows["webhook_loss"] == [pytest.approx(0.3)]
