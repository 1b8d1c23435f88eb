"""Reading the carrier's list of opt-outs: nobody on it is missed, whatever happens while it is read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.errors import CarrierUnavailable, NotReady, StoreUnavailable
from otp_service.domain.optout_list import Block, OptOut
from otp_service.usecases.sync_optouts import PATIENCE_MS, RETRY_MS
from otp_service.usecases.sync_profile_optouts import SETTLED_MS
from tests.fakes import FakeBlockList

from .scenario import DAY, NOW, A, B, Scenario, hashed, person


class Killed(BaseException):
    """The process ends here and now."""


def test_everybody_on_the_list_is_blocked_in_their_profile(scenario: Scenario) -> None:
    """All pages of all profiles, each profile once, and each block as old as the carrier says."""
    scenario.list_(A, *range(10))
    scenario.list_(B, *range(5, 7))
    done = scenario.use_case().run_if_due(starting=True, stopped=lambda: False)
    assert done is not None
    assert [(one.profile, one.changed, one.skipped) for one in done] == [(A, 10, 0), (B, 2, 0)]
    assert scenario.registry.blocked(A) == {hashed(n) for n in range(10)}
    assert scenario.registry.blocked(B) == {hashed(5), hashed(6)}
    entry = scenario.registry.known[A, hashed(3)]
    assert (entry.at_ms, entry.keyword, entry.source) == (NOW - DAY + 3, "STOP", "list")
    assert scenario.counted == ["done"]


def test_the_second_pass_reads_the_new_only(scenario: Scenario) -> None:
    """What is older than an hour is read once; what is younger is read again, in case it showed late."""
    scenario.list_(A, *range(10))
    process = scenario.use_case()

    def turn(*, starting: bool = False) -> None:
        scenario.cursors.pause_ms = None
        assert process.run_if_due(starting=starting, stopped=lambda: False) is not None

    turn(starting=True)
    scenario.list_(A, 20, at_ms=NOW - 60_000)
    before = len(scenario.registry.puts)
    turn()
    assert len(scenario.registry.puts) - before == 1
    scenario.now_ms += SETTLED_MS * 2
    turn()
    turn()
    assert len(scenario.registry.puts) - before == 2
    assert hashed(20) in scenario.registry.blocked(A)


def test_a_clock_that_was_ahead_hides_nobody(scenario: Scenario) -> None:
    """The cursor that it left in the future is not believed by the next process."""
    scenario.now_ms += 30 * DAY
    scenario.run()
    scenario.now_ms = NOW
    scenario.list_(A, 20, at_ms=NOW - 60_000)
    scenario.list_(A, 21, at_ms=NOW - 2 * SETTLED_MS)
    scenario.cursors.pause_ms = None
    scenario.run()
    assert scenario.registry.blocked(A) == {hashed(20), hashed(21)}


@pytest.mark.parametrize("newest_first", [False, True])
@given(
    blocks=st.integers(0, 20),
    gone=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 19)), max_size=8),
    killed=st.lists(st.integers(0, 12), max_size=3),
)
@settings(max_examples=150)
def test_nobody_is_missed_while_others_opt_in_and_processes_are_killed(
    newest_first: bool, blocks: int, gone: list[tuple[int, int]], killed: list[int]
) -> None:
    """Entries vanish before any page, processes die before any page: all who stayed on the list are blocked."""
    scenario = Scenario(source=FakeBlockList(newest_first=newest_first))
    scenario.list_(A, *range(blocks))
    steps = iter(range(1_000))
    deaths = set(killed)

    def before(_: int) -> None:
        step = next(steps)
        for when, who in gone:
            if when == step:
                scenario.source.listed[A] = [b for b in scenario.source.listed[A] if b.to != person(who)]
        if step in deaths:
            raise Killed

    scenario.source.before = before
    for _ in range(len(deaths) + 1):
        try:
            scenario.run()
        except Killed:
            scenario.cursors.holder = None  # the lease has run out
    stayed = {hashed(n) for n in range(blocks)} - {hashed(who) for _, who in gone}
    assert stayed <= scenario.registry.blocked(A)


def test_who_goes_on_after_a_crash_begins_where_it_happened(scenario: Scenario) -> None:
    """Pages that were read before a kill are not read again, but for the first, which says how many there are."""
    scenario.list_(A, *range(30))

    def die(asked: int) -> None:
        if asked == 6:
            raise Killed

    scenario.source.before = die
    with pytest.raises(Killed):
        scenario.run()
    assert [page for *_, page in scenario.source.asked] == [1, 10, 9, 8, 7, 6]
    assert scenario.cursors.kept[A].page == 5
    scenario.cursors.holder, scenario.source.before = None, lambda _: None
    scenario.now_ms += 10 * DAY
    scenario.run()
    assert [page for profile, *_, page in scenario.source.asked[6:] if profile == A][:6] == [1, 5, 4, 3, 2, 1]
    assert scenario.registry.blocked(A) == {hashed(n) for n in range(30)}
    # The window is that of the pass which was killed, whatever time it is by now.
    assert {until for profile, _, until, _ in scenario.source.asked if profile == A} == {NOW - SETTLED_MS, None}


def test_who_came_back_stays_opted_in(scenario: Scenario) -> None:
    """An entry older than the person's START changes nothing."""
    scenario.list_(A, 1)
    start = OptOut(A, False, NOW - 60_000, "START", "inbound")
    scenario.registry.record(hashed(1), "+1******0001", start, None)
    scenario.run()
    assert scenario.registry.blocked(A) == set()


def test_a_clock_ahead_does_not_outdo_the_next_wish(scenario: Scenario) -> None:
    """A block dated in the future counts from when we learned of it, so that a later START counts."""
    scenario.list_(A, 1, at_ms=NOW + DAY)
    scenario.run()
    assert scenario.registry.known[A, hashed(1)].at_ms == NOW


def test_entries_that_name_nobody_are_counted_and_passed_over(scenario: Scenario) -> None:
    """A masked number or a name blocks nobody and stops nothing."""
    scenario.source.listed[A] = [Block("+1202555****", A, "STOP", NOW - DAY), Block("ACME", None, None, 0)]
    scenario.list_(A, 7)
    done = scenario.use_case().run_if_due(starting=True, stopped=lambda: False)
    assert done is not None
    assert (done[0].skipped, done[0].changed) == (2, 1)


def test_an_entry_without_a_profile_belongs_to_the_one_that_was_asked_for(scenario: Scenario) -> None:
    """The carrier may leave it out."""
    scenario.source.listed[A] = [Block(person(1), None, None, 0)]
    scenario.run()
    assert scenario.registry.blocked(A) == {hashed(1)}


def test_after_a_failure_of_the_carrier_the_next_pass_is_soon(scenario: Scenario) -> None:
    """The pass ends, its place is kept, the right to read is free, and the next one comes after a minute."""
    scenario.list_(A, *range(9))

    def fail(asked: int) -> None:
        if asked == 2:
            raise CarrierUnavailable("The carrier does not answer.")

    scenario.source.before = fail
    with pytest.raises(CarrierUnavailable):
        scenario.run()
    assert (scenario.cursors.holder, scenario.cursors.pause_ms, scenario.counted) == (None, RETRY_MS, ["failed"])
    assert scenario.cursors.kept[A].page == 2


def test_a_carrier_that_repeats_a_page_is_detected(scenario: Scenario) -> None:
    """A list whose every page is the first does not pass for read."""
    scenario.list_(A, *range(9))
    turn = scenario.source.blocks
    scenario.source.blocks = lambda profile, **asked: turn(profile, **(asked | {"page": 1}))  # type: ignore[method-assign]
    with pytest.raises(CarrierUnavailable, match="pages"):
        scenario.run()
    assert scenario.cursors.load(A).done_ms == 0


def test_a_store_that_fails_ends_the_pass(scenario: Scenario) -> None:
    """Nothing is called read that could not be written."""
    scenario.list_(A, *range(9))
    scenario.registry.down = True
    with pytest.raises(StoreUnavailable):
        scenario.run()
    assert scenario.cursors.load(A).done_ms == 0


@pytest.mark.parametrize("old", [True, False])
def test_an_unreachable_shard_loses_its_own_entries_only(scenario: Scenario, old: bool) -> None:
    """The others are blocked, in all profiles; the pass counts as failed and is made again, from where it began."""
    at = {} if old else {"at_ms": NOW}
    scenario.list_(A, *range(9), **at)
    scenario.list_(B, *range(3), **at)
    scenario.registry.away = {hashed(0), hashed(7)}
    with pytest.raises(StoreUnavailable):
        scenario.run()
    assert scenario.registry.blocked(A) == {hashed(n) for n in range(9) if n not in (0, 7)}
    assert scenario.registry.blocked(B) == {hashed(1), hashed(2)}
    assert scenario.cursors.load(A).done_ms == 0
    assert scenario.counted == ["failed"]
    scenario.registry.away = set()
    scenario.run()
    assert scenario.registry.blocked(A) == {hashed(n) for n in range(9)}
    assert scenario.registry.blocked(B) == {hashed(n) for n in range(3)}


def test_a_worker_that_ends_leaves_at_the_next_page(scenario: Scenario) -> None:
    """It gives the right to read back, so that another worker goes on at once."""
    scenario.list_(A, *range(9))
    assert scenario.use_case().run_if_due(starting=True, stopped=lambda: True) is None
    assert (scenario.cursors.holder, scenario.cursors.pause_ms, len(scenario.source.asked)) == (None, None, 1)
    assert scenario.counted == ["interrupted"]


def test_a_reader_that_was_overtaken_stops(scenario: Scenario) -> None:
    """It writes no cursor any more and does not take the list from its new reader."""
    scenario.list_(A, *range(9))

    def overtake(asked: int) -> None:
        if asked == 1:
            scenario.cursors.holder = "another"

    scenario.source.before = overtake
    assert scenario.use_case().run_if_due(starting=True, stopped=lambda: False) is None
    assert scenario.cursors.holder == "another"
    assert scenario.cursors.load(A).page == 3


def test_the_timer_does_not_read_the_list_during_a_pause(scenario: Scenario) -> None:
    """Many workers with many timers read it once in an interval; each reads it when it starts."""
    scenario.run()
    asked = len(scenario.source.asked)
    assert scenario.use_case().run_if_due(starting=False, stopped=lambda: False) is None
    assert len(scenario.source.asked) == asked
    assert scenario.cursors.pause_ms == 900_000
    scenario.run()
    assert len(scenario.source.asked) > asked


def test_a_person_waits_for_the_pass_that_is_under_way(scenario: Scenario) -> None:
    """`now` begins when the other one has ended, and reports how far it is."""
    scenario.list_(A, *range(4))
    scenario.cursors.holder = "another"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        scenario.cursors.holder = None

    reported: list[tuple[int, int]] = []
    done = scenario.use_case().run_now(lambda read, of: reported.append((read, of)), sleep)
    assert slept == [0.5]
    assert sum(one.changed for one in done) == 4
    assert reported[0] == (3, 4)
    assert all(read <= of for read, of in reported)


def test_a_person_does_not_wait_for_ever(scenario: Scenario) -> None:
    """If the other pass does not end, the command says so."""
    scenario.cursors.holder = "another"
    slept: list[float] = []
    with pytest.raises(NotReady, match="another process"):
        scenario.use_case().run_now(lambda *_: None, slept.append)
    assert sum(slept) >= PATIENCE_MS / 1000
