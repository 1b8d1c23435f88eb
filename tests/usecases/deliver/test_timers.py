"""Timers of a delivery: each kind does its own work, and a silent delivery is asked about."""

from dataclasses import replace
from typing import Any

import pytest

from otp_service.domain.delivery import DeliveryReport, DeliveryStatus
from otp_service.domain.guarding import Converted
from otp_service.domain.outbox import ReportOutcome, Timer
from otp_service.domain.policy import Limit, Slot
from tests.fakes import FakeSenderHealth

from .scenario import NUMBER, PENDING, REF, Scenario, use_case


@pytest.mark.parametrize("closed", [True, False])
def test_each_timer_does_its_own(closed: bool) -> None:
    """Expiry ends, a retry puts back, closing closes, an unknown kind does nothing."""
    scenario = Scenario(replace(PENDING, now_ms=PENDING.expires_ms + 30_000 * closed), due={"closing"})
    deliver = use_case(scenario)
    for kind in ("expiry", "retry", "closing", "?"):
        deliver.timers.run(Timer(3, kind, REF, 1))
    assert scenario.steps() == ["expire", "requeue", "close_delivery"]
    assert (scenario.outbox.status is DeliveryStatus.EXPIRED) is closed


def test_slots_of_a_send_that_was_never_accepted_are_given_back() -> None:
    """Once, by whoever claims them."""
    scenario, slot = Scenario(status=DeliveryStatus.FAILED), Slot("accounts", "a", Limit(2, 1_000), of_send=True)
    scenario.outbox.slots = scenario.outer.take([slot, slot])
    scenario.outbox.guarded = taken = Converted("shop", "US", "aa", "bb", False, "-:1.0:na")
    deliver = use_case(scenario)
    for _ in range(2):
        deliver.timers.run(Timer(3, "return", REF, 1))
        assert scenario.outer.taken == 0
    assert scenario.steps() == ["claim_guarded", "claim_slots"] * 2
    assert scenario.unsent == [taken]


SENT: dict[str, Any] = {"status": DeliveryStatus.SENT, "message_id": "m1"}


@pytest.mark.parametrize(("kind", "claim"), [("poll", "claim_poll"), ("failover", "claim_failover")])
def test_a_silent_delivery_is_asked_about(kind: str, claim: str) -> None:
    """The carrier's status is applied like a webhook, but is no event; sender health learns it too."""
    report, sender_health = DeliveryReport("m1", NUMBER, "delivered"), FakeSenderHealth()
    scenario = Scenario(replace(PENDING, next_senders=("other",)), report=report, due={kind}, **SENT)
    deliver, due = use_case(scenario, sender_health=sender_health), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) == "m1"
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "fetch_report", "apply_report"]
    assert scenario.log[-1] == ("apply_report", REF, 1, REF.number_hash, report)
    assert sender_health.reports == [(ReportOutcome("moved", "pool"), report)]


@pytest.mark.parametrize(("kind", "claim"), [("poll", "claim_poll"), ("failover", "claim_failover")])
def test_no_claim_no_question_no_answer_no_change(kind: str, claim: str) -> None:
    """Only the claimer asks, and a carrier that does not know changes nothing."""
    scenario = Scenario(**SENT)
    deliver, due = use_case(scenario), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) is None
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "fetch_report"]


@pytest.mark.parametrize(
    ("to", "delivery_id", "state"),
    [
        ("+12025550144", None, DeliveryStatus.SENT),
        (NUMBER, REF.delivery_id(2), DeliveryStatus.SENT),
        (NUMBER, REF.delivery_id(1), DeliveryStatus.DELIVERED),
    ],
)
def test_a_response_about_another_message_is_not_believed(
    to: str, delivery_id: str | None, state: DeliveryStatus
) -> None:
    """Another recipient, or another delivery in its webhook address."""
    report = DeliveryReport("m1", to, "delivered", delivery_id=delivery_id)
    scenario = Scenario(report=report, **SENT)
    use_case(scenario).timers.poll_report(Timer(3, "poll", REF, 1), "m1")
    assert scenario.reports.statuses == {(REF, 1): state}
