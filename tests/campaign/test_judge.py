"""The judge: correct evidence has no breach; rules about responses, store and processes; recovery times."""

from dataclasses import replace

import pytest

from . import breaches
from .evidence import Fault
from .judge import judge
from .sample_evidence import CALLS, T0, WRONG, call, failed_over, kinds_after, sample


def test_correct_evidence_has_no_breach() -> None:
    """There is no breach, and the figures are right."""
    verdict = judge(sample())
    assert verdict.breaches == []
    assert (verdict.figures["accepted"], verdict.figures["delivered exactly once"]) == (1, 1)
    assert list(verdict.to_phone_s) == [pytest.approx(0.08)]


def test_failover_after_a_failure_counts_as_delivered_once() -> None:
    """Two deliveries and one SMS are one send."""
    verdict = judge(failed_over())
    assert verdict.breaches == []
    assert verdict.figures["delivered exactly once"] == 1


def test_a_status_outside_the_contract_is_reported() -> None:
    """An internal error is a breach. A missing response is none if its process was killed."""
    broken, silent = call("check", 1.2, 500, guess=WRONG), call("check", 1.2, None, guess=WRONG)
    killed = Fault("kill_api", T0 + 1, T0 + 2, "api1")
    assert kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, broken))) == {breaches.UNEXPECTED}
    assert kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, silent), faults=(killed,))) == set()


@pytest.mark.parametrize("name", ["outbox", "dead", "overdue"])
def test_entries_left_in_the_store_are_reported(name: str) -> None:
    """Entries, dead letters and overdue timers."""
    assert kinds_after(lambda evidence: replace(evidence, store=replace(evidence.store, **{name: 1}))) == {
        breaches.LEFT
    }


def test_a_process_that_ends_by_itself_is_reported() -> None:
    """It is an accident."""
    assert kinds_after(lambda evidence: replace(evidence, accidents=("api1: ended",))) == {breaches.ACCIDENT}


def test_recovery_is_measured_at_the_target_of_the_fault() -> None:
    """From the end of the fault to the next success of that process, of the carrier, or of a delivery report."""
    faults = (
        Fault("kill_api", T0 + 0.5, T0 + 1.02, "api1"),
        Fault("kill_api", T0 + 0.5, T0 + 1.0, "api2"),
        Fault("http_500", T0 - 1, T0, "carrier"),
        Fault("webhook_loss", T0 - 1, T0 + 0.2, "carrier"),
    )
    rows = {row.kind: list(row.seconds) for row in judge(replace(sample(), faults=faults)).recovery}
    assert rows["kill_api"] == [pytest.approx(1.0), None]
    assert rows["http_500"] == [pytest.approx(0.01)]
    assert rows["webhook_loss"] == [pytest.approx(0.3)]
