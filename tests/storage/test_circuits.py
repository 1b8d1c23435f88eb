"""Breakers in the store: when they open, for how long, and that one message at a time probes."""

from functools import partial

import pytest

from otp_service.domain.circuit import (
    ACCOUNT,
    DAY_MS,
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    PASS,
    PROBE_MS,
    TRIPS_AFTER,
    Fault,
    Fine,
    Hold,
)
from otp_service.storage.circuits import Circuits
from otp_service.storage.tallies import PORTION_MS, PORTIONS, Tallies

from .house import House, at_once

SENDER, PROFILE = "sender:pool", "profile:a"


def fresh(house: House) -> Circuits:
    """The breakers as a process sees them that has asked nothing yet."""
    return Circuits(house.store, house.scripts, house.keys)


def trip(house: House, scope: str = SENDER) -> None:
    """As many faults as open a closed breaker."""
    opened = [fresh(house).fault(Fault(scope, "connect")) for _ in range(TRIPS_AFTER)]
    assert opened == [False] * (TRIPS_AFTER - 1) + [True]


def later(house: House, scope: str = SENDER, *, until: bool = True) -> None:
    """Let the pause (or only the wait for the next probe) be over."""
    changes = {"probe": "1", **({"until": "1"} if until else {})}
    house.raw.hset(house.keys.circuit(scope), mapping=changes)


def state(house: House, scope: str = SENDER) -> str:
    """Of the breaker."""
    return fresh(house).look([scope])[scope].state


def pause(house: House, scope: str = SENDER) -> int:
    """How long it stays open from now, in milliseconds."""
    return int(house.raw.hget(house.keys.circuit(scope), "until")) - house.now()


def test_faults_in_a_row_open_and_a_success_ends_the_row(house: House) -> None:
    """Four and a success and four more are no row of five; five are, over all processes."""
    for _ in range(2):
        for _ in range(TRIPS_AFTER - 1):
            assert not fresh(house).fault(Fault(SENDER, "connect"))
        assert not fresh(house).fine(Fine(SENDER), probe=False)
    assert state(house) == "closed"
    assert not house.raw.exists(house.keys.circuit(SENDER))
    trip(house)
    assert state(house) == "open"
    assert pause(house) == pytest.approx(FIRST_PAUSE_MS, abs=1_000)
    gate = fresh(house).pass_through([ACCOUNT, PROFILE, SENDER])
    assert (gate.passes, gate.code, gate.title, gate.lasting, gate.may_fall) == (
        False,
        "sender_down",
        "connect",
        False,
        True,
    )
    assert 0 < gate.wait_ms <= FIRST_PAUSE_MS


def test_a_row_is_no_longer_than_its_window(house: House) -> None:
    """Faults far apart are single faults."""
    for _ in range(TRIPS_AFTER * 2):
        assert not fresh(house).fault(Fault(SENDER, "connect"))
        house.raw.hset(house.keys.circuit(SENDER), "first", "1")
    assert state(house) == "closed"
    assert 0 < house.raw.pttl(house.keys.circuit(SENDER)) <= 30_000


def test_each_failed_probe_doubles_the_pause(house: House) -> None:
    """Up to the longest; what fails while it is open, or comes back late from before, changes nothing."""
    trip(house)
    pauses = []
    for _ in range(6):
        later(house)
        assert fresh(house).pass_through([SENDER]).probe
        assert not fresh(house).fault(Fault(SENDER, "connect"))
        assert fresh(house).fault(Fault(SENDER, "connect"), probe=True)
        pauses.append(pause(house))
        assert not fresh(house).fault(Fault(SENDER, "connect"))
    wanted = [min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2**n) for n in range(1, 7)]
    assert pauses == [pytest.approx(each, abs=1_000) for each in wanted]


def test_one_message_probes(house: House) -> None:
    """Of sixteen at once, each of a process of its own; the others learn when the next may."""
    trip(house)
    later(house)
    assert state(house) == "half_open"
    gates = at_once([partial(fresh(house).pass_through, [SENDER]) for _ in range(16)])
    assert [gate.probe for gate in gates if gate.passes] == [True]
    assert all(0 < gate.wait_ms <= PROBE_MS for gate in gates if not gate.passes)
    # One that never says anything is given up.
    later(house)
    assert fresh(house).pass_through([SENDER]).probe


def test_only_the_probes_success_closes(house: House) -> None:
    """One from before the trouble, answered late, does not."""
    trip(house)
    later(house)
    assert not fresh(house).fine(Fine(SENDER), probe=False)
    assert state(house) == "half_open"
    assert fresh(house).fine(Fine(SENDER), probe=True)
    assert state(house) == "closed"
    assert fresh(house).pass_through([SENDER]) == PASS
    trip(house)


def test_a_hold_lasts_to_midnight(house: House) -> None:
    """A spent profile rests until the store's clock says that the day is over; one message an hour looks."""
    hold = Hold(PROFILE, "40333", "spent", None, 3_600_000)
    assert fresh(house).hold(hold)
    midnight = (house.now() // DAY_MS + 1) * DAY_MS
    assert int(house.raw.hget(house.keys.circuit(PROFILE), "until")) == midnight
    assert house.raw.pttl(house.keys.circuit(PROFILE)) > midnight - house.now()
    gate = fresh(house).pass_through([ACCOUNT, PROFILE, SENDER])
    assert (gate.passes, gate.code, gate.lasting, gate.may_fall) == (False, "40333", True, True)
    assert 0 < gate.wait_ms <= min(3_600_000, midnight - house.now() + 1_000)


def test_a_held_account_leaves_no_way(house: House) -> None:
    """No other sender of the account helps; every half minute one message looks whether it is mended."""
    fresh(house).hold(Hold(ACCOUNT, "20100", "funds", DAY_MS, 30_000))
    gate = fresh(house).pass_through([ACCOUNT, PROFILE, SENDER])
    assert (gate.passes, gate.lasting, gate.may_fall) == (False, True, False)
    later(house, ACCOUNT, until=False)
    assert fresh(house).pass_through([ACCOUNT]).probe
    again = fresh(house).pass_through([ACCOUNT])
    assert not again.passes
    assert again.wait_ms == pytest.approx(30_000, abs=2_000)


def test_a_repeated_word_is_no_news_and_keeps_the_next_probe(house: House) -> None:
    """Otherwise a hundred messages that meet the hold at once would ring people and put the probe off for ever."""
    hold = Hold(SENDER, "40020", "pumping", DAY_MS, DAY_MS)
    assert at_once([partial(fresh(house).hold, hold) for _ in range(8)]).count(True) == 1
    assert pause(house) == pytest.approx(DAY_MS, abs=2_000)
    house.raw.hset(house.keys.circuit(SENDER), "probe", house.now() + 5_000)
    assert not fresh(house).hold(hold)
    assert 0 < fresh(house).pass_through([SENDER]).wait_ms <= 5_000
    assert fresh(house).hold(Hold(SENDER, "40010", "not registered", 600_000, 60_000))


def test_faults_do_not_shorten_a_hold(house: House) -> None:
    """A probe that finds no connection says nothing of the carrier's word."""
    fresh(house).hold(Hold(SENDER, "40020", "pumping", DAY_MS, DAY_MS))
    for _ in range(TRIPS_AFTER * 2):
        assert not fresh(house).fault(Fault(SENDER, "connect"))
    assert pause(house) == pytest.approx(DAY_MS, abs=2_000)


def test_what_was_closed_is_believed_for_half_a_second_at_most(house: House) -> None:
    """A busy worker does not ask before every message; what it did itself it knows at once."""
    mine = fresh(house)
    assert mine.pass_through([SENDER]) == PASS
    for _ in range(TRIPS_AFTER):
        mine.fault(Fault(SENDER, "connect"))
    assert not mine.pass_through([SENDER]).passes


def test_tallies_are_of_the_last_hour(house: House) -> None:
    """Deliveries by how they ended, with the carrier's ratios beside them; older portions are gone."""
    tallies = Tallies(house.store, house.scripts, house.keys)
    for delivered in (True, True, False):
        tallies.count("pool", delivered=delivered)
    old = house.now() // PORTION_MS - PORTIONS
    house.raw.hset(house.keys.tally("pool"), f"d:{old}", 1_000)
    tallies.count("pool", delivered=True)
    tallies.report({"pool": (0.5, None)})
    health = tallies.look(["pool", "backup"])
    assert (health["pool"].delivered, health["pool"].failed) == (3, 1)
    assert (health["pool"].success_ratio, health["pool"].spam_ratio) == (0.5, None)
    assert health["backup"].grade == 20
    assert at_once([tallies.may_ask] * 8).count(True) == 1
