"""Reading the whole list: who is no longer on it is opted in, if the list can be trusted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.errors import CarrierUnavailable
from otp_service.domain.optout_list import Block, BlockPage, OptOut
from otp_service.usecases.sync_optouts import WHOLE_AGAIN_MS, WHOLE_MS
from otp_service.usecases.sync_profile_optouts import LIST_LAG_MS
from tests.fakes import FakeBlockList

from .scenario import DAY, NOW, A, B, Scenario, hashed, person


@pytest.mark.parametrize("source", ["inbound", "carrier", "list"])
@pytest.mark.parametrize("listed", [0, 1, 3, 10])
def test_a_start_that_never_reached_us_is_made_up_for(scenario: Scenario, source: str, listed: int) -> None:
    """STOP was received, START was lost: the list, read to its end, does not hold the person any more."""
    scenario.list_(A, *range(listed))
    scenario.opted_out(99, source=source)
    scenario.opted_out(*range(listed))
    assert scenario.sync() == {A: 1, B: 0}
    assert scenario.registry.blocked(A) == {hashed(n) for n in range(listed)}
    assert scenario.sync() == {A: 0, B: 0}


def test_what_only_we_understood_is_not_lifted(scenario: Scenario) -> None:
    """The carrier does not know the word ARRET, so its list says nothing about it."""
    scenario.opted_out(1, source="reply")
    assert scenario.sync() == {A: 0, B: 0}
    assert scenario.registry.blocked(A) == {hashed(1)}


def test_another_profiles_list_lifts_nothing_here(scenario: Scenario) -> None:
    """Each profile's registry is compared with its own list."""
    scenario.list_(A, 1)
    scenario.opted_out(1)
    scenario.registry.known[B, hashed(1)] = OptOut(B, True, NOW - DAY, "STOP", "inbound")
    assert scenario.sync() == {A: 0, B: 1}
    assert scenario.registry.blocked(A) == {hashed(1)}


@pytest.mark.parametrize("to", ["+447766****", "+1202555****", "ACME", "+1 202 555 0143"])
def test_a_redacted_list_lifts_nothing(scenario: Scenario, to: str) -> None:
    """Anybody may be behind a number that is not shown."""
    scenario.source.listed[A] = [Block(to, A, "STOP", NOW - DAY)]
    scenario.opted_out(1)
    assert scenario.sync() == {A: 0, B: 0}
    assert scenario.registry.blocked(A) == {hashed(1)}


def test_a_number_that_no_plan_holds_does_not_stop_the_comparison(scenario: Scenario) -> None:
    """It can be compared as it stands."""
    scenario.source.listed[A] = [Block("+9999999999", A, "STOP", NOW - DAY)]
    scenario.opted_out(1)
    assert scenario.sync() == {A: 1, B: 0}


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("change", ["more", "fewer"])
@given(when=st.integers(0, 12))
@settings(max_examples=30)
def test_a_list_that_changes_while_it_is_read_lifts_nobody_on_it(newest_first: bool, change: str, when: int) -> None:
    """Whoever stands on the list from beginning to end stays blocked."""
    scenario = Scenario(source=FakeBlockList(newest_first=newest_first))
    scenario.list_(A, *range(11))
    scenario.opted_out(*range(11), 99)

    def before(asked: int) -> None:
        if asked == when and change == "more":
            scenario.list_(A, 50, at_ms=NOW)
        elif asked == when:
            scenario.source.listed[A] = [block for block in scenario.source.listed[A] if block.to != person(4)]

    scenario.source.before = before
    scenario.sync()
    assert {hashed(n) for n in range(11) if n != 4} <= scenario.registry.blocked(A)


@pytest.mark.parametrize("page_size", [2, 4])
def test_a_list_with_a_count_above_its_entries_lifts_nothing(scenario: Scenario, page_size: int) -> None:
    """Entries that the carrier counts and does not show may be anybody's."""
    scenario.list_(A, *range(7))
    scenario.opted_out(*range(7), 99)
    turn = scenario.source.blocks

    def short(profile: str, *, since_ms: int, until_ms: int | None, page: int) -> BlockPage:
        full = turn(profile, since_ms=since_ms, until_ms=until_ms, page=page)
        return BlockPage(full.blocks[:page_size][:2], full.number, full.total_pages, full.total_results)

    scenario.source.blocks = short  # type: ignore[method-assign]
    assert scenario.sync() == {A: 0, B: 0}


def test_who_stops_while_the_list_is_read_stays_blocked(scenario: Scenario) -> None:
    """A STOP, a new one of somebody known too, that comes after the reading began is not on the pages read before."""
    scenario.opted_out(1, 2)

    def before(asked: int) -> None:
        if asked == 0:
            scenario.opted_out(2, 3, at_ms=NOW)

    scenario.source.before = before
    assert scenario.sync() == {A: 1, B: 0}
    assert scenario.registry.blocked(A) == {hashed(2), hashed(3)}


def test_a_fresh_stop_is_given_time_to_show_on_the_list(scenario: Scenario) -> None:
    """The list is read two seconds after the youngest opt-out that it is compared with."""
    scenario.opted_out(1, at_ms=NOW - 100)
    scenario.sync()
    assert scenario.slept == [LIST_LAG_MS / 1000]
    scenario.opted_out(1, at_ms=NOW - LIST_LAG_MS)
    scenario.sync()
    assert len(scenario.slept) == 1


def test_a_reading_that_fails_lifts_nothing(scenario: Scenario) -> None:
    """Neither when the carrier stops answering nor when another process takes over."""
    scenario.list_(A, *range(9))
    scenario.opted_out(99)

    def fail(asked: int) -> None:
        if asked == 8:
            raise CarrierUnavailable("The carrier does not answer.")

    scenario.source.before = fail
    with pytest.raises(CarrierUnavailable):
        scenario.sync()
    assert hashed(99) in scenario.registry.blocked(A)


def test_the_whole_list_is_read_at_the_start_and_once_a_day(scenario: Scenario) -> None:
    """Between them only news is read; a list that could not be compared is tried again after an hour."""
    process = scenario.use_case()

    def turn(after_ms: int, *, starting: bool = False) -> bool:
        scenario.now_ms += after_ms
        scenario.opted_out(1, at_ms=NOW - DAY)
        scenario.cursors.pause_ms = None
        process.run_if_due(starting=starting, stopped=lambda: False)
        return hashed(1) not in scenario.registry.blocked(A)

    assert turn(0, starting=True)
    assert not turn(WHOLE_MS - 1)
    assert turn(1)
    scenario.source.listed[A] = [Block("+447766****", A, "STOP", NOW - DAY)]
    assert not turn(WHOLE_MS)
    scenario.source.listed[A] = []
    assert not turn(WHOLE_AGAIN_MS - 1)
    assert turn(1)
