"""Opt-outs: the latest wish wins in whatever order they come, and the index knows who is opted out."""

import itertools
import json
from dataclasses import replace
from functools import partial

import pytest

from otp_service.domain.delivery import Action, Refused
from otp_service.domain.optout_list import OptOut, Standing
from tests.conftest import wait_until

from .harness import POOL, SHOP, StoreHarness, at_once, fresh_number


def wish(harness: StoreHarness, nh: str, out: bool, at_ms: int, event: str | None = None) -> str:
    """Put a wish into the registry."""
    entry = OptOut("profile-a", out, at_ms, "STOP" if out else "START", "inbound")
    return harness.optouts.record(nh, "+1******0001", entry, event)


def test_the_latest_wish_wins_in_whatever_order_they_come(harness: StoreHarness) -> None:
    """STOP, START, STOP by the time they were said; at the same moment, out wins."""
    said = [(True, 100), (False, 200), (True, 300), (False, 300)]
    for order in itertools.permutations(said):
        nh = harness.hash_of(fresh_number())
        for out, at_ms in order:
            wish(harness, nh, out, at_ms)
        (entry,) = harness.optouts.of_number(nh)
        assert (entry.opted_out, entry.at_ms) == (True, 300)


def test_a_wish_is_recorded_when_it_changes_something(harness: StoreHarness) -> None:
    """Changed, same, older and duplicate are distinguished, and only the change is an event."""
    nh = harness.hash_of(fresh_number())
    assert wish(harness, nh, True, 100, "e1") == "changed"
    assert wish(harness, nh, True, 100, "e1") == "duplicate"
    assert wish(harness, nh, True, 200, "e2") == "same"
    assert wish(harness, nh, False, 150, "e3") == "older"
    assert wish(harness, nh, False, 300) == "changed"
    events = harness.audited_of(nh)
    assert [event["type"] for event in events] == ["optout.added", "optout.removed"]
    assert harness.raw.pttl(harness.keys.optouts(nh)) == -1


def test_one_stop_twenty_times_at_once_is_one_change(harness: StoreHarness) -> None:
    """The carrier's repeats of one event count once."""
    nh = harness.hash_of(fresh_number())
    answers = at_once([partial(wish, harness, nh, True, 100, "e1") for _ in range(20)])
    assert (answers.count("changed"), answers.count("duplicate")) == (1, 19)


def test_a_time_ahead_of_the_clock_is_the_clocks_time(harness: StoreHarness) -> None:
    """A STOP dated an hour ahead does not beat the START that the person sends next; nor the other way round."""
    nh = harness.hash_of(fresh_number())
    hour_ms = 3_600_000
    for out in (True, False, True):
        before = harness.now()
        assert wish(harness, nh, out, before + hour_ms) == "changed"
        (entry,) = harness.optouts.of_number(nh)
        assert entry.opted_out is out
        assert before <= entry.at_ms <= harness.now()
        wait_until(lambda: harness.now() > harness.optouts.of_number(nh)[0].at_ms)


def test_a_stored_time_ahead_of_the_clock_counts_as_now(harness: StoreHarness) -> None:
    """The store's clock went back: what was written before does not stand for longer than until it is written again."""
    nh = harness.hash_of(fresh_number())
    harness.raw.hset(harness.keys.optouts(nh), "profile-a", f"0|{harness.now() + 3_600_000}|START|inbound")
    assert wish(harness, nh, True, harness.now() + 1_000) == "changed"


def standing(harness: StoreHarness, profile: str = "profile-a") -> dict[str, Standing]:
    """The opt-outs of a profile by number."""
    return {one.number_hash: one for one in harness.optouts.standing(profile)}


@pytest.mark.parametrize("entry", ["1", "1|123", "1||STOP|inbound", "1|x|STOP|inbound"])
def test_a_damaged_opt_out_still_counts(harness: StoreHarness, entry: str) -> None:
    """The state alone decides who is not sent to; what the person says next is recorded over it."""
    number = fresh_number()
    nh = harness.hash_of(number)
    harness.raw.hset(harness.keys.optouts(nh), POOL.messaging_profile_id, entry)
    alone = replace(SHOP, route=(POOL,))
    assert harness.refused(number, alone).code == "opted_out"
    start = OptOut(POOL.messaging_profile_id, False, harness.now(), "START", "inbound")
    assert harness.optouts.record(nh, "+1******0143", start, "e") == "changed"
    harness.start(number, alone)


def test_the_index_knows_exactly_those_who_are_opted_out(harness: StoreHarness) -> None:
    """Of any profile, whoever wrote it down; twelve hundred numbers come in several requests."""
    people = [harness.hash_of(fresh_number()) for _ in range(1_200)]
    for nh in people:
        wish(harness, nh, True, 100)
    assert set(people) <= set(standing(harness))
    back, other = people[:2]
    wish(harness, back, False, 200)
    harness.optouts.record(other, "+1******0001", OptOut("profile-z", True, 100, "STOP", "inbound"), None)
    wish(harness, other, False, 200)
    assert {back, other}.isdisjoint(standing(harness))
    assert set(standing(harness, "profile-z")) == {other}
    assert not harness.raw.hexists(harness.keys.opted_out(harness.keys.shard(back)), back)
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_refused(job, Refused("40300", "Blocked", Action.STOP_PERSON, opted_out=True))
    assert standing(harness)[ref.number_hash].entry.source == "carrier"


def test_a_lifted_opt_out_is_gone_and_on_record(harness: StoreHarness) -> None:
    """One that has changed since it was read stays; the list can bring a lifted one back with its old time."""
    nh = harness.hash_of(fresh_number())
    wish(harness, nh, True, 100)
    old = standing(harness)[nh]
    wish(harness, nh, True, 200)
    assert not harness.optouts.lift("profile-a", old)
    assert harness.optouts.of_number(nh)[0].opted_out
    assert harness.optouts.lift("profile-a", standing(harness)[nh])
    assert harness.optouts.of_number(nh) == []
    assert nh not in standing(harness)
    assert not harness.optouts.lift("profile-a", old)
    events = harness.audited_of(nh)
    assert [event["type"] for event in events] == ["optout.added", "optout.removed"]
    assert (events[-1]["mask"], json.loads(events[-1]["detail"])["source"]) == ("+1******0001", "list")
    assert wish(harness, nh, True, 150) == "changed"


def test_unclear_replies_of_a_number_are_recorded_once_a_minute(harness: StoreHarness) -> None:
    """Without their text; another number's is recorded too."""
    people = [harness.hash_of(fresh_number()) for _ in range(2)]
    for nh in (*people, *people):
        harness.optouts.record_unclear(nh, "+1******0001", "profile-a")
    for nh in people:
        found = harness.audited_of(nh)
        assert [(f["type"], f["mask"], f["app"]) for f in found] == [("reply.unclear", "+1******0001", "")]
        assert json.loads(found[0]["detail"]) == {"messaging_profile_id": "profile-a"}
        assert 0 < harness.raw.pttl(harness.keys.unclear(nh)) <= 60_000
