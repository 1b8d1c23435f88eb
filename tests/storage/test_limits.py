"""Limits, paces and idempotency keys: places that are counted exactly, however many ask at once."""

from functools import partial

import pytest

from otp_service.domain.addresses import end_user
from otp_service.domain.policy import Limit, Slot
from otp_service.storage.idempotency import KEPT_MS, LEASE_MS, Replay
from otp_service.storage.schema.encodings import SlotGroup
from tests.conftest import wait_until

from .harness import StoreHarness, at_once, word


def place(limit: int, per_ms: int, subject: str | None = None) -> Slot:
    """A place in a limit that only this test uses."""
    return Slot("test", subject or word(), Limit(limit, per_ms))


def test_twenty_at_once_get_exactly_as_many_places_as_there_are(harness: StoreHarness) -> None:
    """Never one too many, never one too few."""
    for limit in (1, 7, 19):
        one = place(limit, 60_000)
        waits = at_once([partial(harness.limits.acquire, [one]) for _ in range(20)])
        assert waits.count(0) == limit
        assert all(0 < wait <= 60_000 for wait in waits if wait)


def test_obeying_the_wait_passes(harness: StoreHarness) -> None:
    """Exactly after the milliseconds of the answer, the caller gets a slot: what was taken grows so much older."""
    one = place(2, 60_000)
    assert [harness.limits.acquire([one]) for _ in range(2)] == [0, 0]
    (key,) = harness.raw.scan_iter(match="otp:limit:*")

    def pass_time(ms: int) -> None:
        groups = map(SlotGroup.parse, harness.raw.get(key).split(","))
        harness.raw.set(key, ",".join(f"{int(at) - ms}:{count}" for at, count in groups), keepttl=True)

    wait = harness.limits.acquire([one])
    assert 0 < wait <= 60_000
    pass_time(wait - 20_000)
    left = harness.limits.acquire([one])
    assert 0 < left <= 20_000
    pass_time(left)
    assert harness.limits.acquire([one]) == 0


def test_a_place_given_back_can_be_taken(harness: StoreHarness) -> None:
    """What another refusal returned is there again, once; giving back an untaken place makes none."""
    one = place(2, 60_000)
    harness.limits.release([one])
    assert [harness.limits.acquire([one]) for _ in range(2)] == [0, 0]
    harness.limits.release([one])
    assert harness.limits.acquire([one]) == 0
    assert harness.limits.acquire([one]) > 0


def test_all_places_or_none(harness: StoreHarness) -> None:
    """A refusal by one limit costs nothing in the others."""
    wide, narrow = place(3, 60_000), place(1, 60_000)
    assert harness.limits.acquire([wide, narrow]) == 0
    for _ in range(5):
        assert harness.limits.acquire([wide, narrow]) > 0
    assert [harness.limits.acquire([wide]) for _ in range(2)] == [0, 0]
    assert harness.limits.acquire([wide]) > 0


def test_subjects_do_not_share(harness: StoreHarness) -> None:
    """One subject's many requests take no slot of another, nor another limit of the same subject."""
    assert harness.limits.acquire([place(1, 60_000, "a")]) == 0
    assert harness.limits.acquire([place(1, 60_000, "a")]) > 0
    assert harness.limits.acquire([place(1, 60_000, "b")]) == 0
    assert harness.limits.acquire([place(2, 60_000, "a")]) == 0


def test_a_limits_subject_is_not_readable_in_the_store(harness: StoreHarness) -> None:
    """Addresses stand hashed in keys, and every such key ends by itself."""
    harness.limits.acquire([place(5, 60_000, "203.0.113.7")])
    (key,) = harness.raw.scan_iter(match="otp:limit:*")
    assert "203.0.113.7" not in key
    assert 0 < harness.raw.pttl(key) <= 60_000


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_one_user_is_an_ipv4_address_or_an_ipv6_64(address: str, counted: str) -> None:
    """Whoever has a /64 has one place in the limit, and IPv4 in IPv6 clothes is IPv4."""
    assert end_user(address) == counted


def test_a_sender_is_paced_evenly_over_all_workers(harness: StoreHarness) -> None:
    """Twenty reservations at once take twenty intervals: no two share one."""
    sender, before = word("sender"), harness.now()
    waits = at_once([partial(harness.sender_rate.acquire_rate_slot, sender, 10.0, 60_000) for _ in range(20)])
    reserved_ms = int(harness.raw.get(harness.keys.sender_rate(sender)).split("|")[0]) / 1_000
    assert reserved_ms - before >= 2_000
    assert reserved_ms - harness.now() <= 2_000
    assert max(waits) <= 1_900
    assert min(waits) == 0


def test_a_wait_beyond_the_bound_reserves_nothing(harness: StoreHarness) -> None:
    """Who cannot wait is told how long it would be, and takes no slot from those who can."""
    sender = word("sender")
    assert harness.sender_rate.acquire_rate_slot(sender, 0.02, 0) == 0
    for _ in range(3):
        assert -50_000 <= harness.sender_rate.acquire_rate_slot(sender, 0.02, 100) < -30_000
    assert 30_000 < harness.sender_rate.acquire_rate_slot(sender, 0.02, 60_000) <= 50_000


def step_back(harness: StoreHarness, key: str, ms: int) -> None:
    """Let a reservation look as it does when the store's clock was set back after it was written."""
    moments = harness.raw.get(key).split("|")
    harness.raw.set(key, "|".join(str(int(us) + ms * 1_000) for us in moments), keepttl=True)


@pytest.mark.parametrize("back_ms", [1_000, 60_000, 600_000, 86_400_000])
def test_a_clock_that_is_set_back_stops_no_sender(harness: StoreHarness, back_ms: int) -> None:
    """The place that was reserved counts as far from now as it was from then, and the pace holds on from there."""
    sender = word("sender")
    assert [harness.sender_rate.acquire_rate_slot(sender, 0.5, 60_000) == 0 for _ in range(3)] == [True, False, False]
    step_back(harness, harness.keys.sender_rate(sender), back_ms)
    before = harness.now()
    waits = [harness.sender_rate.acquire_rate_slot(sender, 0.5, 60_000) for _ in range(3)]
    assert 0 < waits[0] <= 6_000
    assert waits[2] <= 10_000
    assert waits[1] - waits[0] + 1 >= 2_000 - (harness.now() - before)


def test_a_clock_that_is_set_forward_stops_no_sender(harness: StoreHarness) -> None:
    """What was reserved lies behind: the next message may go at once, and the one after it an interval later."""
    sender = word("sender")
    for _ in range(3):
        harness.sender_rate.acquire_rate_slot(sender, 0.1, 60_000)
    step_back(harness, harness.keys.sender_rate(sender), -600_000)
    assert harness.sender_rate.acquire_rate_slot(sender, 0.1, 60_000) == 0
    assert 0 < harness.sender_rate.acquire_rate_slot(sender, 0.1, 60_000) <= 10_000


@pytest.mark.parametrize("back_ms", [1_000, 600_000, 86_400_000])
def test_a_clock_that_is_set_back_refuses_nobody_for_longer_than_the_window(
    harness: StoreHarness, back_ms: int
) -> None:
    """A full limit stays full for as long as it would have been, a half full one has its places."""
    full, half = place(2, 60_000), place(4, 60_000)
    assert [harness.limits.acquire([full]) for _ in range(2)] == [0, 0]
    assert [harness.limits.acquire([half]) for _ in range(2)] == [0, 0]
    for key in harness.raw.scan_iter(match="otp:limit:*"):
        moved = [f"{int(at) + back_ms}:{count}" for at, count in map(SlotGroup.parse, harness.raw.get(key).split(","))]
        harness.raw.set(key, ",".join(moved), keepttl=True)
    assert 59_000 < harness.limits.acquire([full]) <= 60_000
    assert [harness.limits.acquire([half]) for _ in range(2)] == [0, 0]
    assert 0 < harness.limits.acquire([half]) <= 60_000
    then = harness.now()
    wait_until(lambda: harness.now() > then)
    assert harness.limits.acquire([full]) < 60_000, "it becomes older, whatever stood in the future"


def test_one_request_runs_under_a_key(harness: StoreHarness) -> None:
    """Of many at once one reserves the key, the others see it running; another body conflicts."""
    digest = word()
    answers = at_once([partial(harness.idempotency.reserve, digest, "body", f"owner{n}") for n in range(20)])
    assert answers.count("reserved") == 1
    assert answers.count("running") == 19
    assert harness.idempotency.look(digest, "body") == "running"
    assert harness.idempotency.look(digest, "other") == "conflict"
    assert harness.idempotency.reserve(digest, "other", "x") == "conflict"


def test_an_answer_is_stored_once_and_given_again(harness: StoreHarness) -> None:
    """Only the owner stores, the first answer stays, and a repeat gets it for a day."""
    digest = word()
    assert harness.idempotency.look(digest, "body") == "free"
    assert harness.idempotency.reserve(digest, "body", "me") == "reserved"
    assert harness.idempotency.reserve(digest, "body", "me") == "reserved"
    harness.idempotency.complete(digest, "you", 200, "forged")
    harness.idempotency.complete(digest, "me", 201, '{"a":1}')
    harness.idempotency.complete(digest, "me", 200, "second")
    harness.idempotency.release(digest, "me")
    assert harness.idempotency.look(digest, "body") == Replay(201, '{"a":1}')
    assert harness.idempotency.reserve(digest, "body", "you") == Replay(201, '{"a":1}')
    assert harness.idempotency.look(digest, "other") == "conflict"
    assert KEPT_MS - 5_000 < harness.raw.pttl(harness.keys.idempotency(digest)) <= KEPT_MS


def test_a_refused_request_frees_its_key(harness: StoreHarness) -> None:
    """A refusal is not stored, another's release does nothing, and a crashed owner's lease ends."""
    digest = word()
    harness.idempotency.reserve(digest, "body", "me")
    assert 0 < harness.raw.pttl(harness.keys.idempotency(digest)) <= LEASE_MS
    harness.idempotency.release(digest, "you")
    assert harness.idempotency.look(digest, "body") == "running"
    harness.idempotency.release(digest, "me")
    assert harness.idempotency.look(digest, "body") == "free"
    harness.idempotency.complete(digest, "me", 200, "too late")
    assert harness.idempotency.look(digest, "body") == "free"
    assert not harness.raw.exists(harness.keys.idempotency(digest))
