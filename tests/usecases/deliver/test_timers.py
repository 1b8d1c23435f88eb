"""Timers of a delivery: each kind does its own work, and a silent delivery is asked about."""

import pytest

from otp_service.domain.delivery import DeliveryReport
from otp_service.domain.outbox import ReportOutcome, Timer
from tests.fakes import FakeSenderHealth

from .scenario import NUMBER, REF, Scenario, use_case


@pytest.mark.parametrize("closed", ["unconfirmed", None])
def test_each_timer_does_its_own(closed: str | None) -> None:
    """Expiry ends, a retry puts back, closing closes, an unknown kind does nothing."""
    scenario = Scenario(closed=closed)
    deliver = use_case(scenario)
    for kind in ("expiry", "retry", "closing", "?"):
        deliver.timers.run(Timer(3, kind, REF, 1))
    assert scenario.steps() == ["expire", "requeue", "close_delivery"]


@pytest.mark.parametrize(("kind", "claim"), [("poll", "claim_poll"), ("failover", "claim_failover")])
def test_a_silent_delivery_is_asked_about(kind: str, claim: str) -> None:
    """The carrier's status is applied like a webhook, but is no event; sender health learns it too."""
    report, sender_health = DeliveryReport("m1", NUMBER, "delivered"), FakeSenderHealth()
    scenario = Scenario(report=report)
    deliver, due = use_case(scenario, sender_health=sender_health), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) == "m1"
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "fetch_report", "apply_report"]
    assert scenario.log[-1] == ("apply_report", REF, 1, REF.number_hash, report, None)
    assert sender_health.reports == [(ReportOutcome("moved", "pool"), report)]


@pytest.mark.parametrize(("kind", "claim"), [("poll", "claim_poll"), ("failover", "claim_failover")])
def test_no_claim_no_question_no_answer_no_change(kind: str, claim: str) -> None:
    """Only the claimer asks, and a carrier that does not know changes nothing."""
    scenario = Scenario(poll=None)
    deliver, due = use_case(scenario), Timer(3, kind, REF, 1)
    assert deliver.timers.run(due) is None
    deliver.timers.poll_report(due, "m1")
    assert scenario.steps() == [claim, "fetch_report"]
