"""Opt-outs, API keys and the audit record as places."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from functools import partial

import pytest

from otp_service.domain.audit import ZERO, Event, EventType, Position, decode_cursor, encode_cursor
from otp_service.domain.delivery import Action, Refused
from otp_service.domain.operation import OptOut, Standing
from otp_service.storage import api_keys
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.audit_log import PAGE_SCAN
from tests.conftest import wait_until

from .house import CODE, House, at_once, fresh_number, word


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


class Tokens:
    """Tokens that are told apart by a counter."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def hex(self, n: int) -> str:
        """Like secrets.token_hex."""
        return f"{next(self._count):0{2 * n}x}"

    def urlsafe(self, n: int) -> str:
        """Like secrets.token_urlsafe."""
        return f"s3cret{next(self._count)}".ljust(-(-n * 4 // 3), "x")


@pytest.fixture
def clock() -> Clock:
    """The clock of the keys."""
    return Clock()


@pytest.fixture
def keys(house: House, clock: Clock) -> ApiKeys:
    """API keys as one process sees them."""
    return another_process(house, clock)


def another_process(house: House, clock: Clock) -> ApiKeys:
    """API keys with a memory of their own."""
    tokens = Tokens()
    return ApiKeys(
        house.store, house.keys, house.audit, now_ms=clock, token_hex=tokens.hex, token_urlsafe=tokens.urlsafe
    )


# ---- opt-outs -----------------------------------------------------------------------------------------------------


def wish(house: House, nh: str, out: bool, at_ms: int, event: str | None = None) -> str:
    """Put a wish into the registry."""
    entry = OptOut("profile-a", out, at_ms, "STOP" if out else "START", "inbound")
    return house.optouts.put(nh, "+1******0001", entry, event)


def test_the_latest_wish_wins_in_whatever_order_they_come(house: House) -> None:
    """STOP, START, STOP by the time they were said; at the same moment, out wins."""
    said = [(True, 100), (False, 200), (True, 300), (False, 300)]
    for order in itertools.permutations(said):
        nh = house.hash_of(fresh_number())
        for out, at_ms in order:
            wish(house, nh, out, at_ms)
        (entry,) = house.optouts.of(nh)
        assert (entry.opted_out, entry.at_ms) == (True, 300)


def test_a_wish_is_recorded_when_it_changes_something(house: House) -> None:
    """Changed, same, older and duplicate are told apart, and only the change is an event."""
    nh = house.hash_of(fresh_number())
    assert wish(house, nh, True, 100, "e1") == "changed"
    assert wish(house, nh, True, 100, "e1") == "duplicate"
    assert wish(house, nh, True, 200, "e2") == "same"
    assert wish(house, nh, False, 150, "e3") == "older"
    assert wish(house, nh, False, 300) == "changed"
    events = [fields for _, fields in house.raw.xrange(house.keys.audit(house.keys.shard(nh))) if fields["nh"] == nh]
    assert [event["type"] for event in events] == ["optout.added", "optout.removed"]
    assert house.raw.pttl(house.keys.optouts(nh)) == -1


def test_one_stop_twenty_times_at_once_is_one_change(house: House) -> None:
    """The carrier's repeats of one event count once."""
    nh = house.hash_of(fresh_number())
    answers = at_once([partial(wish, house, nh, True, 100, "e1") for _ in range(20)])
    assert (answers.count("changed"), answers.count("duplicate")) == (1, 19)


def test_a_time_ahead_of_the_clock_is_the_clocks_time(house: House) -> None:
    """A STOP dated an hour ahead does not beat the START that the person sends next; nor the other way round."""
    nh = house.hash_of(fresh_number())
    hour_ms = 3_600_000
    for out in (True, False, True):
        before = house.now()
        assert wish(house, nh, out, before + hour_ms) == "changed"
        (entry,) = house.optouts.of(nh)
        assert entry.opted_out is out
        assert before <= entry.at_ms <= house.now()
        wait_until(lambda: house.now() > house.optouts.of(nh)[0].at_ms)


def test_a_stored_time_ahead_of_the_clock_counts_as_now(house: House) -> None:
    """The store's clock went back: what was written before does not stand for longer than until it is written again."""
    nh = house.hash_of(fresh_number())
    house.raw.hset(house.keys.optouts(nh), "profile-a", f"0|{house.now() + 3_600_000}|START|inbound")
    assert wish(house, nh, True, house.now() + 1_000) == "changed"


def standing(house: House, profile: str = "profile-a") -> dict[str, Standing]:
    """The opt-outs of a profile by number."""
    return {one.number_hash: one for one in house.optouts.standing(profile)}


def test_the_index_knows_exactly_those_who_are_opted_out(house: House) -> None:
    """Of any profile, whoever wrote it down; twelve hundred numbers come in several requests."""
    people = [house.hash_of(fresh_number()) for _ in range(1_200)]
    for nh in people:
        wish(house, nh, True, 100)
    assert set(people) <= set(standing(house))
    back, other = people[:2]
    wish(house, back, False, 200)
    house.optouts.put(other, "+1******0001", OptOut("profile-z", True, 100, "STOP", "inbound"), None)
    wish(house, other, False, 200)
    assert {back, other}.isdisjoint(standing(house))
    assert set(standing(house, "profile-z")) == {other}
    assert not house.raw.hexists(house.keys.opted_out(house.keys.shard(back)), back)
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    house.must_begin(job)
    house.outbox.refused(job, Refused("40300", "Blocked", Action.STOP_PERSON, opted_out=True))
    assert standing(house)[ref.number_hash].entry.source == "carrier"


def test_a_lifted_opt_out_is_gone_and_on_record(house: House) -> None:
    """One that has changed since it was read stays; the list can bring a lifted one back with its old time."""
    nh = house.hash_of(fresh_number())
    wish(house, nh, True, 100)
    old = standing(house)[nh]
    wish(house, nh, True, 200)
    assert not house.optouts.lift("profile-a", old)
    assert house.optouts.of(nh)[0].opted_out
    assert house.optouts.lift("profile-a", standing(house)[nh])
    assert house.optouts.of(nh) == []
    assert nh not in standing(house)
    assert not house.optouts.lift("profile-a", old)
    events = [fields for _, fields in house.raw.xrange(house.keys.audit(house.keys.shard(nh))) if fields["nh"] == nh]
    assert [event["type"] for event in events] == ["optout.added", "optout.removed"]
    assert (events[-1]["mask"], json.loads(events[-1]["detail"])["source"]) == ("+1******0001", "list")
    assert wish(house, nh, True, 150) == "changed"


def test_unclear_replies_of_a_number_are_recorded_once_a_minute(house: House) -> None:
    """Without their text; another number's is recorded too."""
    people = [house.hash_of(fresh_number()) for _ in range(2)]
    for nh in (*people, *people):
        house.optouts.note_unclear(nh, "+1******0001", "profile-a")
    for nh in people:
        found = [f for _, f in house.raw.xrange(house.keys.audit(house.keys.shard(nh))) if f["nh"] == nh]
        assert [(f["type"], f["mask"], f["app"]) for f in found] == [("reply.unclear", "+1******0001", "")]
        assert json.loads(found[0]["detail"]) == {"messaging_profile_id": "profile-a"}
        assert 0 < house.raw.pttl(house.keys.unclear(nh)) <= 60_000


# ---- API keys -----------------------------------------------------------------------------------------------------


def test_a_key_opens_what_it_was_made_for(keys: ApiKeys, house: House) -> None:
    """The principal names key, app and scopes; the store holds the secret's hash only."""
    made = keys.create("shop", ["verify", "audit:read"], None)
    who = keys.authenticate(made.key)
    assert who is not None
    assert (who.key_id, who.app, who.scopes) == (made.id, "shop", frozenset({"verify", "audit:read"}))
    text = repr(house.snapshot())
    assert made.key not in text
    assert made.key.split("_")[2] not in text
    assert hashlib.sha256(made.key.encode()).hexdigest() in text
    assert made.key not in repr(made)


@pytest.mark.parametrize("spoil", ["", "x", " ", "\n", "wrong", "unknown", "é", "prefix"])
def test_nothing_else_opens(keys: ApiKeys, spoil: str) -> None:
    """A key that differs anywhere, in its secret, id or form, is nobody's."""
    made = keys.create("shop", ["verify"], None)
    spoiled = {
        "": "",
        "wrong": made.key[:-1] + ("A" if made.key[-1] != "A" else "B"),
        "unknown": made.key.replace(made.id, "f" * 12),
        "prefix": made.key[:-1],
    }.get(spoil, made.key + spoil)
    assert keys.authenticate(spoiled) is None
    assert keys.authenticate(made.key) is not None


def test_a_key_ends_to_the_millisecond(keys: ApiKeys, clock: Clock) -> None:
    """Expiry is judged at each use, remembered look-up or not."""
    made = keys.create("shop", ["verify"], clock.ms + 1_000)
    clock.ms += 999
    assert keys.authenticate(made.key) is not None
    clock.ms += 1
    assert keys.authenticate(made.key) is None


def test_a_revocation_holds_everywhere_soon(
    house: House, clock: Clock, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that has just used the key refuses it when its memory has run out."""
    monkeypatch.setattr(api_keys, "CACHE_S", 0.2)
    elsewhere = another_process(house, clock)
    made = keys.create("shop", ["verify"], None)
    assert elsewhere.authenticate(made.key) is not None
    assert keys.revoke(made.id)
    assert not keys.revoke("nosuchkey000")
    wait_until(lambda: elsewhere.authenticate(made.key) is None, 2.0)
    assert api_keys.CACHE_S < 5


def test_the_first_end_of_a_key_stays(keys: ApiKeys, clock: Clock) -> None:
    """Revoking again does not move the moment, and a longer overlap does not revive what has ended."""
    made = keys.create("shop", ["verify"], None)
    keys.revoke(made.id)
    first = keys.get(made.id)
    clock.ms += 5_000
    keys.revoke(made.id)
    assert keys.get(made.id) == first
    assert keys.rotate(made.id, 60_000) is None


def test_rotation_overlaps(keys: ApiKeys, clock: Clock) -> None:
    """Old and new key both open during the overlap, the new one alone afterwards; a second rotation extends nothing."""
    old = keys.create("shop", ["verify"], None)
    new = keys.rotate(old.id, 10_000)
    assert new is not None
    assert (new.app, new.scopes) == ("shop", ("verify",))
    assert keys.rotate(old.id, 999_000) is not None
    clock.ms += 9_999
    assert keys.authenticate(old.key) is not None
    clock.ms += 1
    assert keys.authenticate(old.key) is None
    assert keys.authenticate(new.key) is not None
    assert keys.rotate("nosuchkey000", 1) is None


def test_an_expired_key_cannot_be_rotated(keys: ApiKeys, clock: Clock) -> None:
    """What has run out is no valid key any more; a new one has to be made on purpose."""
    made = keys.create("shop", ["verify"], clock.ms + 1_000)
    clock.ms += 1_000
    assert keys.rotate(made.id, 60_000) is None


def test_keys_are_listed_by_app_oldest_first(keys: ApiKeys, clock: Clock) -> None:
    """Revoked ones too, so that they can be explained."""
    first = keys.create("shop", ["verify"], None)
    clock.ms += 1
    second = keys.create("bank", ["verify"], None)
    clock.ms += 1
    third = keys.create("shop", ["metrics"], clock.ms + 5)
    keys.revoke(first.id)
    assert [info.id for info in keys.list()] == [first.id, second.id, third.id]
    assert [info.id for info in keys.list("shop")] == [first.id, third.id]
    assert keys.get(second.id) == keys.list("bank")[0]
    assert keys.get("nosuchkey000") is None


def test_the_keys_story_is_recorded_without_the_key(keys: ApiKeys, house: House) -> None:
    """Creation and revocation are events that name the key's id."""
    made = keys.create("shop", ["verify"], None)
    keys.revoke(made.id)
    events = [fields for _, fields in house.raw.xrange(house.keys.audit(0))]
    assert [event["type"] for event in events] == ["key.created", "key.revoked"]
    assert all(json.loads(event["detail"])["key_id"] == made.id for event in events)


# ---- the record ---------------------------------------------------------------------------------------------------


def pages(house: House, limit: int, wanted: dict[str, frozenset[str]] | None = None) -> Iterator[list[Event]]:
    """All pages from the beginning, through cursors as a caller has them."""
    positions = [ZERO] * 16
    for _ in range(1_000):
        page = house.audit.read(positions, shards=range(16), until_ms=None, limit=limit, wanted=wanted or {})
        yield page.events
        if page.at_end:
            return
        positions = decode_cursor(encode_cursor(page.positions), 16)
    pytest.fail("the pages have no end")


@pytest.mark.parametrize("limit", [1, 3, 1_000])
def test_pages_tell_every_event_once_in_order_of_time(house: House, limit: int) -> None:
    """However small the pages, over all shards nothing is missing, doubled or out of order."""
    for _ in range(12):
        house.check(house.start(fresh_number()).reference, CODE)
    events = [event for page in pages(house, limit) for event in page]
    assert len(events) == 36
    assert len({event.seq for event in events}) == 36
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
    assert len({event.shard for event in events}) > 1


def test_a_filter_lets_through_what_it_names(house: House) -> None:
    """By verification, type, app and number's hash; pages without a match still lead on."""
    refs = [house.start(fresh_number()).reference for _ in range(10)]
    one = refs[3]
    wanted = {"vid": frozenset({one.body}), "type": frozenset({"verification.started"})}
    found = [event for page in pages(house, 1, wanted) for event in page]
    assert [(event.type, event.fields["vid"]) for event in found] == [("verification.started", one.body)]
    by_number = [event for page in pages(house, 2, {"nh": frozenset({one.number_hash})}) for event in page]
    assert len(by_number) == 2
    assert not [event for page in pages(house, 2, {"app": frozenset({"bank"})}) for event in page]


def test_the_end_of_time_bounds_a_page(house: House) -> None:
    """`until` is included; what comes later is not shown."""
    house.start(fresh_number())
    (first, *_), *_ = list(pages(house, 100))
    page = house.audit.read([ZERO] * 16, shards=range(16), until_ms=first.at_ms - 1, limit=10, wanted={})
    assert (page.events, page.at_end) == ([], True)
    page = house.audit.read([ZERO] * 16, shards=range(16), until_ms=first.at_ms, limit=10, wanted={})
    assert first.seq in {event.seq for event in page.events}


def test_one_page_looks_at_so_much_and_no_more(server_house: House) -> None:
    """A filter that matches nothing costs several requests instead of one long one."""
    house = server_house
    with house.raw.pipeline(transaction=False) as pipe:
        for _ in range(PAGE_SCAN + 10):
            pipe.xadd(house.keys.audit(0), {"type": "x"})
        pipe.execute()
    page = house.audit.read([ZERO] * 16, shards=range(16), until_ms=None, limit=5, wanted={"type": frozenset({"y"})})
    assert (page.events, page.at_end) == ([], False)
    page = house.audit.read(page.positions, shards=range(16), until_ms=None, limit=5, wanted={"type": frozenset("y")})
    assert page.at_end


def test_strangers_cannot_fill_the_record(house: House) -> None:
    """A throttled kind is noted once in its time; another kind, or no throttle, is noted each time."""
    for _ in range(20):
        house.audit.note(EventType.WEBHOOK_REJECTED, {"reason": "signature"}, throttle_ms=60_000)
    house.audit.note(EventType.KEY_CREATED, {"key_id": word()}, throttle_ms=60_000)
    house.audit.note(EventType.KEY_CREATED, {"key_id": word()})
    kinds = [fields["type"] for _, fields in house.raw.xrange(house.keys.audit(0))]
    assert sorted(kinds) == ["key.created", "key.created", "webhook.rejected"]


def test_old_events_are_trimmed(house: House) -> None:
    """Retention drops what is older, in whole blocks, and keeps what is younger."""
    with house.raw.pipeline(transaction=False) as pipe:
        for n in range(1, 500):
            pipe.xadd(house.keys.audit(1), {"type": "old"}, id=f"{n}-0")
        pipe.execute()
    ref = house.start(fresh_number()).reference
    house.audit.trim(house.now() - 60_000)
    assert house.raw.xlen(house.keys.audit(1)) < 200
    assert len(house.audited(ref)) == 2


@pytest.mark.parametrize("text", ["9" * 20 + "-0", "0-" + "9" * 20, "18446744073709551616-0", "0-18446744073709551616"])
def test_no_cursor_makes_the_store_stumble(house: House, text: str) -> None:
    """A made-up position is refused before the store is asked: it is the caller's mistake, not an outage."""
    with pytest.raises(ValueError, match="position"):
        Position.read(text)
    for top in (Position(2**63 - 1, 2**63 - 1), Position(2**64 - 1, 2**64 - 1)):
        assert house.audit.read([top] * 16, shards=range(16), until_ms=None, limit=5, wanted={}).events == []
