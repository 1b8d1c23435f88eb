"""Opt-outs, API keys and the audit record as places."""

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from otp_service.domain.audit import ZERO, Event, EventType, Position, decode_cursor, encode_cursor
from otp_service.domain.delivery import Action, Refused
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.optout_list import OptOut, Standing
from otp_service.runtime import delivery_worker
from otp_service.storage import api_keys
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.audit_log import PAGE_SCAN
from otp_service.storage.schema.fields import ApiKey
from tests.conftest import wait_until

from .harness import CODE, POOL, SHOP, StoreHarness, Twice, at_once, fresh_number, word


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


TOKENS = Tokens()


@pytest.fixture
def keys(harness: StoreHarness) -> ApiKeys:
    """API keys as one process sees them."""
    return another_process(harness)


def another_process(harness: StoreHarness) -> ApiKeys:
    """API keys with a memory of their own."""
    return ApiKeys(
        harness.store, harness.scripts, harness.keys, harness.audit, token_hex=TOKENS.hex, token_urlsafe=TOKENS.urlsafe
    )


def at_store(harness: StoreHarness, ms: int) -> None:
    """Wait until the store's clock has come there."""
    wait_until(lambda: harness.now() >= ms, 5.0)


def key_events(harness: StoreHarness) -> list[tuple[str, str]]:
    """Type and key id of the recorded events."""
    found = harness.audited_in(0)
    return [(event["type"], json.loads(event["detail"])["key_id"]) for event in found]


# ---- opt-outs -----------------------------------------------------------------------------------------------------


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
    """Changed, same, older and duplicate are told apart, and only the change is an event."""
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


# ---- API keys -----------------------------------------------------------------------------------------------------


def test_a_key_opens_what_it_was_made_for(keys: ApiKeys, harness: StoreHarness) -> None:
    """The principal names key, app and scopes; the store holds the secret's hash only."""
    made = keys.create("shop", ["verify", "audit:read"], None)
    who = keys.authenticate(made.key)
    assert who is not None
    assert (who.key_id, who.app, who.scopes) == (made.id, "shop", frozenset({"verify", "audit:read"}))
    text = repr(harness.snapshot())
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


def test_a_key_ends_in_time(keys: ApiKeys, harness: StoreHarness) -> None:
    """Expiry is judged at each use, remembered look-up or not."""
    made = keys.create("shop", ["verify"], 400)
    assert made.expires_at_ms is not None
    assert made.expires_at_ms <= harness.now() + 400
    assert keys.authenticate(made.key) is not None
    at_store(harness, made.expires_at_ms)
    assert keys.authenticate(made.key) is None
    assert another_process(harness).authenticate(made.key) is None


@pytest.mark.parametrize("ahead_s", [-100 * 86_400, -120, 120, 100 * 86_400])
def test_no_process_clock_judges_a_key(
    keys: ApiKeys, harness: StoreHarness, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    """With the shell's and the server's clock minutes or months off, a key lives, ends and is revoked as ever."""
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(ahead_s * 1e9))
    monkeypatch.setattr(api_keys, "CACHE_S", 0.0)
    lasting, brief = keys.create("shop", ["verify"], 3_600_000), keys.create("shop", ["verify"], 0)
    assert keys.authenticate(lasting.key) is not None
    assert keys.authenticate(brief.key) is None
    new = keys.rotate(lasting.id, 3_600_000)
    assert new is not None
    assert keys.authenticate(lasting.key) is not None
    assert keys.authenticate(new.key) is not None
    assert keys.revoke(new.id)
    assert keys.authenticate(new.key) is None
    info = keys.get(new.id)
    assert info is not None
    assert abs((info.revoked_at_ms or 0) - harness.now()) < 60_000


def test_a_revocation_is_a_mark_and_no_time(
    keys: ApiKeys, harness: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the store's clock steps back behind the revocation, or an older release wrote a later moment."""
    monkeypatch.setattr(api_keys, "CACHE_S", 0.0)
    made = keys.create("shop", ["verify"], None)
    harness.raw.hset(harness.keys.api_key(made.id), ApiKey.ENDS, harness.now() + 120_000)  # a shell two minutes ahead
    assert keys.authenticate(made.key) is not None
    assert keys.revoke(made.id)
    harness.raw.hset(
        harness.keys.api_key(made.id), ApiKey.ENDS, harness.now() + 600_000
    )  # the store's clock, ten minutes back
    assert keys.authenticate(made.key) is None
    assert keys.rotate(made.id, 60_000) is None


def test_a_revocation_holds_everywhere_soon(
    harness: StoreHarness, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that has just used the key refuses it when its memory has run out."""
    monkeypatch.setattr(api_keys, "CACHE_S", 0.2)
    elsewhere = another_process(harness)
    made = keys.create("shop", ["verify"], None)
    assert elsewhere.authenticate(made.key) is not None
    assert keys.revoke(made.id)
    assert not keys.revoke("nosuchkey000")
    wait_until(lambda: elsewhere.authenticate(made.key) is None, 2.0)
    assert api_keys.CACHE_S < 5


def test_the_first_end_of_a_key_stays(keys: ApiKeys, harness: StoreHarness) -> None:
    """Revoking again does not move the moment, and a longer overlap does not revive what has ended."""
    made = keys.create("shop", ["verify"], None)
    keys.revoke(made.id)
    first = keys.get(made.id)
    at_store(harness, harness.now() + 5)
    keys.revoke(made.id)
    assert keys.get(made.id) == first
    assert keys.rotate(made.id, 60_000) is None


def test_rotation_overlaps(keys: ApiKeys, harness: StoreHarness) -> None:
    """Old and new key both open during the overlap, the new one alone afterwards; a second rotation extends nothing."""
    old = keys.create("shop", ["verify"], None)
    new = keys.rotate(old.id, 3_000)
    assert new is not None
    assert (new.app, new.scopes) == ("shop", ("verify",))
    assert keys.authenticate(old.key) is not None
    assert keys.rotate(old.id, 999_000) is not None
    info = keys.get(old.id)
    assert info is not None
    assert info.revoked_at_ms is not None
    at_store(harness, info.revoked_at_ms)
    assert keys.authenticate(old.key) is None
    assert keys.authenticate(new.key) is not None
    assert keys.rotate("nosuchkey000", 1) is None
    assert keys.rotate(old.id, 1_000) is None


def test_a_rotation_without_overlap_ends_the_old_key_at_once(keys: ApiKeys, harness: StoreHarness) -> None:
    """The new key keeps the old one's end."""
    old = keys.create("shop", ["verify"], 3_600_000)
    new = keys.rotate(old.id, 0)
    assert new is not None
    assert new.expires_at_ms == old.expires_at_ms
    assert keys.authenticate(old.key) is None
    assert keys.authenticate(new.key) is not None


def test_an_expired_key_cannot_be_rotated(keys: ApiKeys) -> None:
    """What has run out is no valid key any more; a new one has to be made on purpose."""
    made = keys.create("shop", ["verify"], 0)
    assert keys.rotate(made.id, 60_000) is None


def test_keys_are_listed_by_app_oldest_first(keys: ApiKeys, harness: StoreHarness) -> None:
    """Revoked ones too, so that they can be explained."""
    first = keys.create("shop", ["verify"], None)
    at_store(harness, harness.now() + 2)
    second = keys.create("bank", ["verify"], None)
    at_store(harness, harness.now() + 2)
    third = keys.create("shop", ["metrics"], 60_000)
    keys.revoke(first.id)
    assert [info.id for info in keys.list()] == [first.id, second.id, third.id]
    assert [info.id for info in keys.list("shop")] == [first.id, third.id]
    assert keys.get(second.id) == keys.list("bank")[0]
    assert keys.get("nosuchkey000") is None


def test_what_happens_to_a_key_is_recorded_without_the_key(keys: ApiKeys, harness: StoreHarness) -> None:
    """Creation, rotation and revocation are events that name the key's id; nothing is left to be recorded."""
    made = keys.create("shop", ["verify"], None)
    new = keys.rotate(made.id, 60_000)
    assert new is not None
    keys.revoke(new.id)
    keys.revoke(new.id)
    created, revoked = "key.created", "key.revoked"
    assert sorted(key_events(harness)) == sorted(
        [(created, made.id), (revoked, made.id), (created, new.id), (revoked, new.id)]
    )
    assert not harness.raw.exists(harness.keys.api_key_events())


def test_a_key_and_its_event_are_one_step(
    keys: ApiKeys, harness: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that dies after the change, or between record and list, loses no event and records none twice."""

    def dies(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as crash:
        crash.setattr(harness.audit, "record", dies)
        made = keys.create("shop", ["verify"], None)
        assert keys.revoke(made.id)
    assert keys.authenticate(made.key) is None
    assert key_events(harness) == []
    waiting = harness.raw.hgetall(harness.keys.api_key_events())
    another_process(harness).record_events()
    harness.raw.hset(
        harness.keys.api_key_events(), mapping=waiting
    )  # the first copier died before it could strike them
    another_process(harness).record_events()
    assert sorted(key_events(harness)) == [("key.created", made.id), ("key.revoked", made.id)]


def test_a_key_made_twice_is_one(harness: StoreHarness) -> None:
    """A command whose reply was lost runs again: one key, one event, and a rotation rotates once."""
    twice = StoreHarness(harness.store, harness.keys, Twice(harness.store), harness.ring)
    keys = another_process(twice)
    old = keys.create("shop", ["verify"], None)
    new = keys.rotate(old.id, 60_000)
    assert new is not None
    assert keys.authenticate(new.key) is not None
    assert len(keys.list()) == 2
    assert len(key_events(harness)) == 3


# ---- the record ---------------------------------------------------------------------------------------------------


def pages(harness: StoreHarness, limit: int, wanted: dict[str, frozenset[str]] | None = None) -> Iterator[list[Event]]:
    """All pages from the beginning, through cursors as a caller has them."""
    positions = [ZERO] * 16
    for _ in range(1_000):
        page = harness.audit.read(positions, shards=range(16), until_ms=None, limit=limit, wanted=wanted or {})
        yield page.events
        if page.at_end:
            return
        positions = decode_cursor(encode_cursor(page.positions), 16)
    pytest.fail("the pages have no end")


@pytest.mark.parametrize("limit", [1, 3, 1_000])
def test_pages_tell_every_event_once_in_order_of_time(harness: StoreHarness, limit: int) -> None:
    """However small the pages, over all shards nothing is missing, doubled or out of order."""
    for _ in range(12):
        harness.check(harness.start(fresh_number()).reference, CODE)
    events = [event for page in pages(harness, limit) for event in page]
    assert len(events) == 36
    assert len({event.seq for event in events}) == 36
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
    assert len({event.shard for event in events}) > 1


def test_a_filter_lets_through_what_it_names(harness: StoreHarness) -> None:
    """By verification, type, app and number's hash; pages without a match still lead on."""
    refs = [harness.start(fresh_number()).reference for _ in range(10)]
    one = refs[3]
    wanted = {"verification": frozenset({one.token}), "type": frozenset({"verification.started"})}
    found = [event for page in pages(harness, 1, wanted) for event in page]
    assert [(event.type, event.fields["verification"]) for event in found] == [("verification.started", one.token)]
    by_number = [event for page in pages(harness, 2, {"number_hash": frozenset({one.number_hash})}) for event in page]
    assert len(by_number) == 2
    assert not [event for page in pages(harness, 2, {"app": frozenset({"bank"})}) for event in page]


def test_the_end_of_time_bounds_a_page(harness: StoreHarness) -> None:
    """`until` is included; what comes later is not shown."""
    harness.start(fresh_number())
    (first, *_), *_ = list(pages(harness, 100))
    page = harness.audit.read([ZERO] * 16, shards=range(16), until_ms=first.at_ms - 1, limit=10, wanted={})
    assert (page.events, page.at_end) == ([], True)
    page = harness.audit.read([ZERO] * 16, shards=range(16), until_ms=first.at_ms, limit=10, wanted={})
    assert first.seq in {event.seq for event in page.events}


def test_one_page_looks_at_so_much_and_no_more(server_harness: StoreHarness) -> None:
    """A filter that matches nothing costs several requests instead of one long one."""
    harness = server_harness
    with harness.raw.pipeline(transaction=False) as pipe:
        for _ in range(PAGE_SCAN + 10):
            pipe.xadd(harness.keys.audit(0), {"type": "x"})
        pipe.execute()
    page = harness.audit.read([ZERO] * 16, shards=range(16), until_ms=None, limit=5, wanted={"type": frozenset({"y"})})
    assert (page.events, page.at_end) == ([], False)
    page = harness.audit.read(page.positions, shards=range(16), until_ms=None, limit=5, wanted={"type": frozenset("y")})
    assert page.at_end


def test_callers_without_a_key_cannot_fill_the_audit_log(harness: StoreHarness) -> None:
    """A throttled kind is noted once in its time; another kind, or no throttle, is noted each time."""
    for _ in range(20):
        harness.audit.record(EventType.WEBHOOK_REJECTED, {"reason": "signature"}, throttle_ms=60_000)
    harness.audit.record(EventType.KEY_CREATED, {"key_id": word()}, throttle_ms=60_000)
    harness.audit.record(EventType.KEY_CREATED, {"key_id": word()})
    kinds = [event["type"] for event in harness.audited_in(0)]
    assert sorted(kinds) == ["key.created", "key.created", "webhook.rejected"]


def test_old_events_are_trimmed(harness: StoreHarness) -> None:
    """Retention drops what is older, in whole blocks, and keeps what is younger."""
    with harness.raw.pipeline(transaction=False) as pipe:
        for n in range(1, 500):
            pipe.xadd(harness.keys.audit(1), {"type": "old"}, id=f"{n}-0")
        pipe.execute()
    ref = harness.start(fresh_number()).reference
    harness.audit.trim(60_000)
    assert harness.raw.xlen(harness.keys.audit(1)) < 200
    assert len(harness.audited(ref)) == 2


@pytest.mark.parametrize("days_ahead", [-100, 100])
def test_a_worker_with_a_wrong_clock_drops_nothing(
    harness: StoreHarness, monkeypatch: pytest.MonkeyPatch, days_ahead: int
) -> None:
    """The record's age is the store's affair: a worker a hundred days off trims what is old, and nothing else."""
    real_ns, day_ns = time.time_ns, 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + days_ahead * day_ns)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    young, day_ms = harness.now(), 86_400_000
    with harness.raw.pipeline(transaction=False) as pipe:
        for shard, age_days in ((1, 91), (2, 89)):
            for n in range(1, 500):
                pipe.xadd(harness.keys.audit(shard), {"type": "old"}, id=f"{young - age_days * day_ms}-{n}")
        pipe.execute()
    stop = threading.Event()
    monkeypatch.setattr(delivery_worker, "TRIM_S", 0.0)
    working = delivery_worker.Worker(
        harness.outbox,
        harness.due_timers,
        None,  # type: ignore[arg-type]
        harness.audit,
        concurrency=1,
        audit_retention_ms=90 * day_ms,
        close=lambda: None,
    )
    thread = threading.Thread(target=working.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: harness.raw.xlen(harness.keys.audit(1)) < 200, 10.0)
        assert harness.raw.xlen(harness.keys.audit(2)) == 499
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("text", ["9" * 20 + "-0", "0-" + "9" * 20, "18446744073709551616-0", "0-18446744073709551616"])
def test_no_cursor_makes_the_store_stumble(harness: StoreHarness, text: str) -> None:
    """A made-up position is refused before the store is asked: it is the caller's mistake, not an outage."""
    with pytest.raises(ValueError, match="position"):
        Position.read(text)
    for top in (Position(2**63 - 1, 2**63 - 1), Position(2**64 - 1, 2**64 - 1)):
        assert harness.audit.read([top] * 16, shards=range(16), until_ms=None, limit=5, wanted={}).events == []
