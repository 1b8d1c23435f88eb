"""Outages and secrets: an outage loses nothing, and the log shows neither code nor number."""

import logging
from dataclasses import replace

import pytest

from otp_service.domain.delivery import Accepted, NotSent, SendOutcome, Unknown
from otp_service.domain.errors import StoreUnavailable

from .scenario import CODE, JOB, NEXT, NUMBER, PENDING, Scenario, use_case


@pytest.mark.parametrize("step", ["acquire_rate_slot", "begin_send", "record_accepted"])
def test_an_outage_leaves_the_entry_to_another_try(step: str) -> None:
    """StoreUnavailable goes up wherever it happens; before the record is written nothing was sent."""
    scenario = Scenario(down_at=step)
    with pytest.raises(StoreUnavailable):
        use_case(scenario).send(JOB)
    assert bool(scenario.carrier.sent) is (step == "record_accepted")


@pytest.mark.parametrize("outcome", [Accepted("m", "queued"), NEXT, NotSent("x"), Unknown("x")])
def test_the_log_holds_neither_code_nor_number(outcome: SendOutcome, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the answer, the lines name the delivery only."""
    with caplog.at_level(logging.DEBUG):
        use_case(Scenario(outcome=outcome)).send(JOB)
        use_case(Scenario(pending=replace(PENDING, box="x"))).send(JOB)
    text = "".join(repr(record.__dict__) for record in caplog.records)
    assert caplog.records
    assert CODE not in text
    assert NUMBER[1:] not in text
