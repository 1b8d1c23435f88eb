"""Breakers in the store: when they open, for how long, and that one message at a time probes."""

import sys
import time
from dataclasses import replace
from functools import partial

import pytest

from otp_service.domain.circuit import (
    ACCOUNT,
    DAY_MS,
    FIRST_PAUSE_MS,
    HOLD_WINDOW_MS,
    HOLDS_AFTER,
    LONGEST_PAUSE_MS,
    PASS,
    PROBE_MS,
    TRIPS_AFTER,
    BreakerDecision,
    Fault,
    Hold,
    Source,
    Success,
)
from otp_service.storage.circuits import Circuits
from otp_service.storage.schema.fields import Breaker
from otp_service.storage.sender_stats import PERIOD_MS, PERIODS, SenderStats

from .about import about
from .harness import StoreHarness, at_once, word

SENDER, PROFILE = "sender:pool", "profile:a"


def fresh(harness: StoreHarness) -> Circuits:
    """The breakers as a process sees them that has asked nothing yet."""
    return Circuits(harness.store, harness.scripts, harness.keys)


def trip(harness: StoreHarness, scope: str = SENDER) -> None:
    """Faults of as many numbers as open a closed breaker."""
    opened = [fresh(harness).record_fault(Fault(scope, "connect"), word()) for _ in range(TRIPS_AFTER)]
    assert opened == [False] * (TRIPS_AFTER - 1) + [True]


def later(harness: StoreHarness, scope: str = SENDER, *, until: bool = True) -> None:
    """Let the pause (or only the wait for the next probe) be over."""
    changes = {"next_probe_ms": "1", **({"open_until_ms": "1"} if until else {})}
    harness.raw.hset(harness.keys.circuit(scope), mapping=changes)


def state(harness: StoreHarness, scope: str = SENDER) -> str:
    """Of the breaker."""
    return fresh(harness).states([scope])[scope].state


def pause(harness: StoreHarness, scope: str = SENDER) -> int:
    """How long it stays open from now, in milliseconds."""
    return int(harness.raw.hget(harness.keys.circuit(scope), "open_until_ms")) - harness.now()


def test_faults_in_a_row_open_and_a_success_ends_the_row(harness: StoreHarness) -> None:
    """Four and a success and four more are no row of five; five are, over all processes."""
    for _ in range(2):
        for _ in range(TRIPS_AFTER - 1):
            assert not fresh(harness).record_fault(Fault(SENDER, "connect"), word())
        assert not fresh(harness).record_success(Success(SENDER), probe=False)
    assert state(harness) == "closed"
    assert not harness.raw.exists(harness.keys.circuit(SENDER))
    before = harness.now()
    trip(harness)
    until = int(harness.raw.hget(harness.keys.circuit(SENDER), Breaker.UNTIL))
    assert before + FIRST_PAUSE_MS <= until <= harness.now() + FIRST_PAUSE_MS
    # However slow this machine is.
    harness.raw.hset(
        harness.keys.circuit(SENDER), mapping=dict.fromkeys([Breaker.UNTIL, Breaker.NEXT_PROBE], until + 60_000)
    )
    assert state(harness) == "open"
    decision = fresh(harness).admit([ACCOUNT, PROFILE, SENDER])
    assert (decision.passes, decision.code, decision.title, decision.is_hold) == (
        False,
        "sender_down",
        "connect",
        False,
    )
    assert 0 < decision.wait_ms <= LONGEST_PAUSE_MS


def test_a_row_is_no_longer_than_its_window(harness: StoreHarness) -> None:
    """Faults far apart are single faults."""
    for _ in range(TRIPS_AFTER * 2):
        assert not fresh(harness).record_fault(Fault(SENDER, "connect"), word())
        harness.raw.hset(harness.keys.circuit(SENDER), "first_fault_ms", "1")
    assert state(harness) == "closed"
    assert 0 < harness.raw.pttl(harness.keys.circuit(SENDER)) <= 30_000


def test_each_failed_probe_doubles_the_pause(harness: StoreHarness) -> None:
    """Up to the longest; what fails while it is open, or comes back late from before, changes nothing."""
    trip(harness)
    pauses = []
    for _ in range(6):
        later(harness)
        assert fresh(harness).admit([SENDER]).probe
        assert not fresh(harness).record_fault(Fault(SENDER, "connect"), word())
        assert fresh(harness).record_fault(Fault(SENDER, "connect"), word(), probe=True)
        pauses.append(pause(harness))
        assert not fresh(harness).record_fault(Fault(SENDER, "connect"), word())
    wanted = [min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2**n) for n in range(1, 7)]
    assert pauses == [about(each) for each in wanted]


def test_one_message_probes(harness: StoreHarness) -> None:
    """Of sixteen at once, each of a process of its own; the others learn when the next may."""
    trip(harness)
    later(harness)
    assert state(harness) == "half_open"
    decisions = at_once([partial(fresh(harness).admit, [SENDER]) for _ in range(16)])
    assert [decision.probe for decision in decisions if decision.passes] == [True]
    assert all(0 < decision.wait_ms <= PROBE_MS for decision in decisions if not decision.passes)
    # One that never says anything is given up.
    later(harness)
    assert fresh(harness).admit([SENDER]).probe


def test_only_the_probes_success_closes(harness: StoreHarness) -> None:
    """One from before the trouble, answered late, does not."""
    trip(harness)
    later(harness)
    assert not fresh(harness).record_success(Success(SENDER), probe=False)
    assert state(harness) == "half_open"
    assert fresh(harness).record_success(Success(SENDER), probe=True)
    assert state(harness) == "closed"
    assert fresh(harness).admit([SENDER]) == PASS
    trip(harness)


def test_a_hold_lasts_to_midnight(harness: StoreHarness) -> None:
    """A spent profile rests until the store's clock says that the day is over; one message an hour looks."""
    hold = Hold(PROFILE, "40333", "spent", None, 3_600_000, after=1)
    assert fresh(harness).record_hold(hold, word()) == "opened"
    midnight = (harness.now() // DAY_MS + 1) * DAY_MS
    assert int(harness.raw.hget(harness.keys.circuit(PROFILE), "open_until_ms")) == midnight
    assert harness.raw.pttl(harness.keys.circuit(PROFILE)) > midnight - harness.now()
    decision = fresh(harness).admit([ACCOUNT, PROFILE, SENDER])
    assert (decision.passes, decision.code, decision.is_hold) == (False, "40333", True)
    assert 0 < decision.wait_ms <= min(3_600_000, midnight - harness.now() + 1_000)


def test_a_held_account_is_probed(harness: StoreHarness) -> None:
    """Every half minute one message looks whether it is mended."""
    fresh(harness).record_hold(Hold(ACCOUNT, "20100", "funds", DAY_MS, 30_000, after=1), word())
    decision = fresh(harness).admit([ACCOUNT, PROFILE, SENDER])
    assert (decision.passes, decision.is_hold) == (False, True)
    later(harness, ACCOUNT, until=False)
    assert fresh(harness).admit([ACCOUNT]).probe
    again = fresh(harness).admit([ACCOUNT])
    assert not again.passes
    assert again.wait_ms == about(30_000)


def test_a_repeated_reason_changes_nothing_and_keeps_the_next_probe(harness: StoreHarness) -> None:
    """Otherwise a hundred messages that meet the hold at once would ring people and put the probe off for ever."""
    hold = Hold(SENDER, "40020", "pumping", DAY_MS, DAY_MS, after=1)
    assert at_once([partial(fresh(harness).record_hold, hold, word()) for _ in range(8)]).count("opened") == 1
    assert pause(harness) == about(DAY_MS)
    harness.raw.hset(harness.keys.circuit(SENDER), "next_probe_ms", harness.now() + 5_000)
    assert fresh(harness).record_hold(hold, word()) == "open"
    assert 0 < fresh(harness).admit([SENDER]).wait_ms <= 5_000
    # Another reason is news if it lasts longer; else the longer hold stays.
    assert (
        fresh(harness).record_hold(Hold(SENDER, "40010", "not registered", 600_000, 60_000, after=1), word()) == "open"
    )
    assert fresh(harness).states([SENDER])[SENDER].code == "40020"
    assert (
        fresh(harness).record_hold(Hold(SENDER, "40021", "for good", 2 * DAY_MS, DAY_MS, after=1), word()) == "opened"
    )


def test_faults_do_not_shorten_a_hold(harness: StoreHarness) -> None:
    """A probe that finds no connection says nothing about what the carrier answers."""
    fresh(harness).record_hold(Hold(SENDER, "40020", "pumping", DAY_MS, DAY_MS, after=1), word())
    for _ in range(TRIPS_AFTER * 2):
        assert not fresh(harness).record_fault(Fault(SENDER, "connect"), word())
    assert pause(harness) == about(DAY_MS)


def test_a_closed_breaker_is_cached_for_half_a_second_at_most(harness: StoreHarness) -> None:
    """A busy worker does not ask before every message; what it did itself it knows at once."""
    mine = fresh(harness)
    assert mine.admit([SENDER]) == PASS
    for _ in range(TRIPS_AFTER):
        mine.record_fault(Fault(SENDER, "connect"), word())
    assert not mine.admit([SENDER]).passes


def test_one_number_s_faults_are_one_fault(harness: StoreHarness) -> None:
    """Retried for as long as its code lives, one message opens nothing; four other numbers with it do."""
    number = word()
    for _ in range(TRIPS_AFTER * 3):
        assert not fresh(harness).record_fault(Fault(SENDER, "connect"), number)
    assert state(harness) == "closed"
    opened = [fresh(harness).record_fault(Fault(SENDER, "connect"), word()) for _ in range(TRIPS_AFTER - 1)]
    assert opened == [False] * (TRIPS_AFTER - 2) + [True]
    assert not harness.raw.hexists(harness.keys.circuit(SENDER), "numbers")


NOT_OURS = Hold(SENDER, "40013", "a carrier rejects the sender", 600_000, 60_000)


@pytest.mark.parametrize("source", list(Source))
def test_it_takes_several_numbers_to_hold(harness: StoreHarness, source: Source) -> None:
    """One number's message never holds a sender, however often; three numbers' do, in any processes, at once too."""
    hold = replace(NOT_OURS, source=source)
    number = word()
    assert {fresh(harness).record_hold(hold, number) for _ in range(10)} == {"counted"}
    assert state(harness) == "closed"
    assert fresh(harness).admit([ACCOUNT, PROFILE, SENDER]) == PASS
    replies = at_once([partial(fresh(harness).record_hold, hold, word()) for _ in range(8)])
    assert (replies.count("counted"), replies.count("opened")) == (HOLDS_AFTER - 2, 1)
    assert state(harness) == "open"
    assert harness.raw.pttl(harness.keys.carrier_refusals(SENDER, source)) > 0
    assert list(harness.raw.hkeys(harness.keys.carrier_refusals(SENDER, source))) == ["40013"]


def test_refusals_are_counted_by_code_and_scope(harness: StoreHarness) -> None:
    """Three numbers with a reason each, or at a sender each, say nothing together."""
    for code in ("40013", "40305", "40100", "40010"):
        assert fresh(harness).record_hold(replace(NOT_OURS, code=code), word()) == "counted"
    for scope in ("sender:b", "sender:c", PROFILE, ACCOUNT):
        assert fresh(harness).record_hold(replace(NOT_OURS, scope=scope), word()) == "counted"
    assert fresh(harness).record_hold(replace(NOT_OURS, source=Source.REPORT), word()) == "counted"
    assert state(harness) == "closed"


def test_refusals_far_apart_are_single_ones(harness: StoreHarness) -> None:
    """Older than the window, they are forgotten."""
    for _ in range(HOLDS_AFTER * 2):
        assert fresh(harness).record_hold(NOT_OURS, word()) == "counted"
        key = harness.keys.carrier_refusals(SENDER, Source.ANSWER)
        harness.raw.hset(
            key, "40013", harness.raw.hget(key, "40013").split(":")[0] + f":{harness.now() - HOLD_WINDOW_MS}"
        )


def test_a_success_begins_the_count_anew(harness: StoreHarness) -> None:
    """An accepted message ends the row of refused ones, a delivered one that of failed reports; neither the other."""
    for source in Source:
        for _ in range(HOLDS_AFTER - 1):
            assert fresh(harness).record_hold(replace(NOT_OURS, source=source), word()) == "counted"
    fresh(harness).record_success(Success(SENDER, sent=False), probe=False)
    assert fresh(harness).states([SENDER])[SENDER].counted == set(Source)
    fresh(harness).record_success(Success(SENDER, sent=True), probe=False)
    assert fresh(harness).states([SENDER])[SENDER].counted == {Source.REPORT}
    fresh(harness).record_delivered([ACCOUNT, PROFILE, SENDER])
    assert fresh(harness).states([SENDER])[SENDER].counted == set()
    for source in Source:
        for _ in range(HOLDS_AFTER - 1):
            assert fresh(harness).record_hold(replace(NOT_OURS, source=source), word()) == "counted"


def test_a_probe_that_fails_too_holds_on(harness: StoreHarness) -> None:
    """One number is enough then, whatever the carrier says of the sender; an odd message beside it is not."""
    for _ in range(HOLDS_AFTER):
        fresh(harness).record_hold(NOT_OURS, word())
    harness.raw.hset(
        harness.keys.circuit(SENDER), mapping={"open_until_ms": harness.now() + 1_000, "next_probe_ms": "1"}
    )
    assert fresh(harness).admit([SENDER]).probe
    assert fresh(harness).record_hold(replace(NOT_OURS, code="40100"), word()) == "counted"
    assert pause(harness) <= 1_000
    assert fresh(harness).record_hold(replace(NOT_OURS, code="40100"), word(), probe=True) == "opened"
    assert pause(harness) == about(600_000)


def test_a_hold_by_reports_needs_one_more_after_its_probe(harness: StoreHarness) -> None:
    """That the probe was accepted says little where messages fail later: the next failed report holds again."""
    hold = replace(NOT_OURS, source=Source.REPORT)
    for _ in range(HOLDS_AFTER):
        fresh(harness).record_hold(hold, word())
    later(harness)
    assert fresh(harness).admit([SENDER]).probe
    assert fresh(harness).record_success(Success(SENDER, sent=True), probe=True)
    assert state(harness) == "closed"
    assert fresh(harness).record_hold(hold, word()) == "opened"


def test_a_refused_probe_of_a_pause_is_an_answer(harness: StoreHarness) -> None:
    """Nothing is down there any more; what the answer says of the sender counts as one number's."""
    trip(harness)
    later(harness)
    assert fresh(harness).admit([SENDER]).probe
    assert fresh(harness).record_hold(NOT_OURS, word(), probe=True) == "counted"
    assert state(harness) == "closed"


def test_where_there_is_no_better_sender_a_hold_stops_nothing(harness: StoreHarness) -> None:
    """Any number of messages go, each as a probe; a pause for lack of answers is kept all the same."""
    fresh(harness).record_hold(replace(NOT_OURS, scope=ACCOUNT, after=1), word())
    fresh(harness).record_hold(replace(NOT_OURS, after=1), word())
    scopes = [ACCOUNT, PROFILE, SENDER]
    assert not fresh(harness).admit(scopes).passes
    decisions = [fresh(harness).admit(scopes, held_too=True) for _ in range(3)]
    assert decisions == [BreakerDecision(True, probe=True)] * 3
    for scope in scopes:
        fresh(harness).record_success(Success(scope, sent=True), probe=True)
    assert fresh(harness).admit(scopes) == PASS
    fresh(harness).record_hold(replace(NOT_OURS, scope=ACCOUNT, after=1), word())
    trip(harness)
    harness.raw.hset(
        harness.keys.circuit(SENDER),
        mapping={"open_until_ms": harness.now() + 60_000, "next_probe_ms": harness.now() + 60_000},
    )
    decision = fresh(harness).admit(scopes, held_too=True)
    assert (decision.passes, decision.code, decision.is_hold) == (False, "sender_down", False)


def test_looks_of_many_threads_never_miss(harness: StoreHarness) -> None:
    """What one thread forgets while another looks it up is read again."""
    shared = fresh(harness)
    over = time.monotonic() + 1.0

    def look() -> None:
        while time.monotonic() < over:
            assert set(shared.states([ACCOUNT, PROFILE, SENDER])) == {ACCOUNT, PROFILE, SENDER}

    def change() -> None:
        while time.monotonic() < over:
            shared.record_fault(Fault(SENDER, "connect"), "one")

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        at_once([look, look, look, change, change])
    finally:
        sys.setswitchinterval(switch)


def test_sender_stats_are_of_the_last_hour(harness: StoreHarness) -> None:
    """Deliveries by how they ended, with the carrier's ratios beside them; older portions are gone."""
    sender_stats = SenderStats(harness.store, harness.scripts, harness.keys)
    for delivered in (True, True, False):
        sender_stats.record_result("pool", delivered=delivered)
    old = harness.now() // PERIOD_MS - PERIODS
    harness.raw.hset(harness.keys.sender_stats("pool"), f"delivered:{old}", 1_000)
    sender_stats.record_result("pool", delivered=True)
    sender_stats.record_health({"pool": (0.5, None)})
    health = sender_stats.health(["pool", "backup"])
    assert (health["pool"].delivered, health["pool"].failed) == (3, 1)
    assert (health["pool"].success_ratio, health["pool"].spam_ratio) == (0.5, None)
    assert health["backup"].grade == 20
    assert at_once([sender_stats.claim_health_poll] * 8).count(True) == 1


@pytest.mark.parametrize("is_hold", [False, True])
def test_a_clock_that_is_set_back_prolongs_no_pause(harness: StoreHarness, is_hold: bool) -> None:
    """A breaker opened before the store's clock was set back by hours is probed when the longest pause is over."""
    scope = f"sender:{word()}"
    if is_hold:
        harness.circuits.record_hold(Hold(scope, "40333", "spent", 3_600_000, 30_000, after=1), word())
    else:
        for _ in range(5):
            harness.circuits.record_fault(Fault(scope, "connect"), word())
    key = harness.keys.circuit(scope)
    for name in (Breaker.UNTIL, Breaker.NEXT_PROBE):
        harness.raw.hincrby(key, name, 7_200_000)
    decision = fresh(harness).admit([scope])
    assert not decision.passes
    assert decision.wait_ms <= (30_000 if is_hold else LONGEST_PAUSE_MS)
    limits = {"probe_ms": PROBE_MS, "longest_pause_ms": LONGEST_PAUSE_MS}
    admitted, wait_ms, *_ = harness.scripts.call("circuit/admit", {"circuit": key}, repeat=True, **limits)
    assert (admitted, wait_ms <= 30_000) == (0, True)
