"""Breakers, figures and rates of senders: what every implementation promises."""

import pytest

from otp_service.domain.circuit import PASS, TRIPS_AFTER, Circuit, Fault, Hold, Source, Success
from otp_service.domain.routing import Health
from otp_service.usecases.ports import Circuits, SenderStats

from ..fakes import FakeCircuits, FakeSenderStats
from ..storage.harness import StoreHarness, fresh_number

SCOPE = "sender:pool"
RATE_PER_S = 0.001
"""So slow that the time of a test means nothing."""

NUMBERS = [f"{n:020x}" for n in range(9)]


@pytest.fixture
def circuits(real: StoreHarness | None) -> Circuits:
    """Breakers that are closed."""
    return real.circuits if real else FakeCircuits()


@pytest.fixture
def stats(real: StoreHarness | None) -> SenderStats:
    """Figures of senders that have sent nothing."""
    return real.sender_stats if real else FakeSenderStats()


def hold(code: str = "40010", after: int = 3, source: Source = Source.ANSWER) -> Hold:
    """The carrier says something of the sender."""
    return Hold(SCOPE, code, "a title", 600_000, 30_000, after, source)


def breaker(circuits: Circuits) -> Circuit:
    """The breaker of the sender."""
    return circuits.states([SCOPE])[SCOPE]


def test_what_was_never_met_is_closed(circuits: Circuits) -> None:
    """And lets every message through, as no probe."""
    assert breaker(circuits).state == "closed"
    assert circuits.admit([SCOPE, "account"]) == PASS


def test_a_statement_about_enough_numbers_opens_the_breaker(circuits: Circuits) -> None:
    """One number counts once; from then on every statement finds it open."""
    replies = [circuits.record_hold(hold(), NUMBERS[n]) for n in (0, 0, 1, 1, 2, 3)]
    assert replies == ["counted"] * 4 + ["opened", "open"]
    state = breaker(circuits)
    assert (state.state, state.code, state.title, state.is_hold) == ("open", "40010", "a title", True)


def test_a_statement_of_which_one_is_enough_opens_it_at_once(circuits: Circuits) -> None:
    """No message passes then, unless it has no better way."""
    assert circuits.record_hold(hold(after=1), NUMBERS[0]) == "opened"
    decision = circuits.admit([SCOPE])
    assert (decision.passes, decision.code, decision.is_hold) == (False, "40010", True)
    assert 0 < decision.wait_ms <= 30_000
    assert circuits.admit([SCOPE], held_too=True).passes


@pytest.mark.parametrize("source", list(Source))
def test_a_success_ends_the_row_of_its_source(circuits: Circuits, source: Source) -> None:
    """Accepted messages end a row of answers, delivered ones a row of reports."""
    for n in (0, 1):
        circuits.record_hold(hold(source=source), NUMBERS[n])
    if source is Source.ANSWER:
        assert not circuits.record_success(Success(SCOPE, sent=True), probe=False)
    else:
        circuits.record_delivered([SCOPE])
    replies = [circuits.record_hold(hold(source=source), NUMBERS[n]) for n in (2, 3, 4)]
    assert replies == ["counted", "counted", "opened"]


def test_faults_of_enough_numbers_open_it_for_a_pause(circuits: Circuits) -> None:
    """One number counts once; a pause stops also what has no better way."""
    fault = Fault(SCOPE, "no connection")
    rows = [circuits.record_fault(fault, NUMBERS[n]) for n in (0, 0, *range(1, TRIPS_AFTER))]
    assert rows == [False] * TRIPS_AFTER + [True]
    assert not circuits.record_fault(fault, NUMBERS[8])
    decision = circuits.admit([SCOPE], held_too=True)
    assert (decision.passes, decision.code, decision.is_hold) == (False, "sender_down", False)


def test_only_the_probe_closes_an_open_breaker(circuits: Circuits) -> None:
    """A message from before the trouble does not."""
    circuits.record_hold(hold(after=1), NUMBERS[0])
    assert not circuits.record_success(Success(SCOPE, sent=True), probe=False)
    assert breaker(circuits).state == "open"
    assert circuits.record_success(Success(SCOPE, sent=True), probe=True)
    assert breaker(circuits).state == "closed"
    assert not circuits.record_success(Success(SCOPE, sent=True), probe=True)


def test_results_and_ratios_are_figures_of_their_sender(stats: SenderStats) -> None:
    """Others have none; a ratio that the carrier does not give is None."""
    for delivered in (True, True, False):
        stats.record_result("pool", delivered=delivered)
    stats.record_health({"pool": (0.5, None)})
    assert stats.health(["pool", "other"]) == {"pool": Health(2, 1, 0.5, None), "other": Health()}


def test_one_process_polls_the_carrier(stats: SenderStats) -> None:
    """The first that notices that it is time."""
    assert [stats.claim_health_poll() for _ in range(3)] == [True, False, False]


def test_slots_of_a_sender_are_evenly_spaced(stores: StoreHarness) -> None:
    """Another sender has its own; what is too far off is not taken."""
    acquire, sender = stores.sender_rate.acquire_rate_slot, fresh_number()
    assert acquire(sender, RATE_PER_S, 6_000_000) == 0
    assert 900_000 < acquire(sender, RATE_PER_S, 6_000_000) <= 1_000_000
    for _ in range(2):
        assert -2_000_000 <= acquire(sender, RATE_PER_S, 1_500_000) < -1_900_000
    assert 1_900_000 < acquire(sender, RATE_PER_S, 6_000_000) <= 2_000_000
    assert acquire(f"{sender} other", RATE_PER_S, 0) == 0


def test_what_comes_back_for_a_slot_is_spaced_again(stores: StoreHarness) -> None:
    """All of those that waited come at once: each goes now, or waits for a new slot, an interval after the other."""
    acquire, sender = stores.sender_rate.acquire_rate_slot, fresh_number()
    for _ in range(5):
        acquire(sender, RATE_PER_S, 9_000_000)
    waits = [acquire(sender, RATE_PER_S, 9_000_000, again=True) for _ in range(3)]
    assert [round(wait, -6) for wait in waits] == [1_000_000, 2_000_000, 3_000_000]
    assert acquire(sender, RATE_PER_S, 1_500_000, again=True) < -3_000_000
    assert 4_900_000 < acquire(sender, RATE_PER_S, 9_000_000) <= 5_000_000
