"""Looking things up: who may see what, and filters that become positions and fields."""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.audit import ZERO, Event, EventPage, Position
from otp_service.domain.errors import InvalidNumber, KeyUnknown, NotReady, StoreUnavailable
from otp_service.domain.ids import shard_of
from otp_service.domain.optout_list import OptOut
from otp_service.domain.policy import App, Policy, Sender, SenderKind
from otp_service.keyring import create, parse
from otp_service.usecases.audit_cursors import AuditCursors, next_positions
from otp_service.usecases.audit_filters import AuditFilter
from otp_service.usecases.browse import MAX_PAGE, AuditPage, Browse, as_seen
from tests.fakes import FakeAuditReader, FakeKeyIds, FakeOptOuts, FakeVerifications, verification_view

RING = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
PERSON = "+12025550143"
NUMBER = RING.ids.number_hash(PERSON)
REF = RING.ids.new(NUMBER, bytes(10))
SENDERS = {
    name: Sender(name, SenderKind.NUMBER_POOL, profile, None, 1.0)
    for name, profile in (("a", "profile-a"), ("b", "profile-b"), ("c", "profile-a"))
}
APPS = {
    name: App(name, name, tuple(SENDERS[sender] for sender in route)) for name, route in (("shop", "ab"), ("bank", "b"))
}
EVENT = Event(1, Position(5, 0), "check.failed", {})


@dataclass
class Scenario:
    """What is behind the ports."""

    store: FakeVerifications = field(default_factory=FakeVerifications)
    known: FakeOptOuts = field(default_factory=FakeOptOuts)
    audit: FakeAuditReader = field(default_factory=lambda: FakeAuditReader([EVENT]))
    key_ids: FakeKeyIds = field(default_factory=FakeKeyIds)


def use_case(scenario: Scenario) -> Browse:
    """The use case of one process."""
    policy = Policy(MappingProxyType(APPS), MappingProxyType(SENDERS))
    return Browse(
        store=scenario.store,
        optouts=scenario.known,
        record=scenario.audit,
        vault=RING,
        key_ids=scenario.key_ids,
        policy=policy,
    )


def asked(wanted: AuditFilter, visible_app: str | None = None) -> Mapping[str, Any]:
    """What the record is asked for."""
    scenario = Scenario()
    use_case(scenario).audit(wanted, visible_app)
    return scenario.audit.asked[0]


def test_a_verification_is_its_own_apps() -> None:
    """Foreign, unknown and malformed ids are all nothing."""
    view = verification_view(REF)
    browse = use_case(Scenario(FakeVerifications(views={REF: view})))
    assert browse.verification("shop", REF.verification_id) == (view, [])
    assert browse.verification("bank", REF.verification_id) is None
    assert browse.verification("shop", "vrf_x") is None


def test_a_numbers_opt_outs_cover_the_apps_own_route() -> None:
    """What the registry does not know of is shown as not opted out; of other apps' profiles there is nothing."""
    scenario = Scenario()
    for entry in (OptOut("profile-z", True, 5, "STOP", "inbound"), OptOut("profile-a", True, 9, "STOP", "x")):
        scenario.known.record(NUMBER, "+1******0143", entry, None)

    def shown(app: str) -> tuple[str, list[tuple[str, bool]]]:
        mask, entries = use_case(scenario).optouts(app, PERSON)
        return mask, [(entry.messaging_profile_id, entry.opted_out) for entry in entries]

    assert shown("shop") == ("+1******0143", [("profile-a", True), ("profile-b", False)])
    assert shown("bank") == ("+1******0143", [("profile-b", False)])
    with pytest.raises(InvalidNumber):
        use_case(scenario).optouts("shop", "2025550143")
    with pytest.raises(NotReady):
        use_case(scenario).optouts("gone", PERSON)


def test_a_reader_of_one_app_sees_its_events_alone() -> None:
    """Asking for another app's gives nothing and reads nothing; no filter gives what belongs to no app."""
    assert asked(AuditFilter(), "shop")["wanted"] == {"app": frozenset({"shop"})}
    assert asked(AuditFilter(app="shop"), "shop")["wanted"] == {"app": frozenset({"shop"})}
    assert asked(AuditFilter(app="bank"))["wanted"] == {"app": frozenset({"bank"})}
    assert asked(AuditFilter())["wanted"] == {}
    scenario = Scenario()
    assert use_case(scenario).audit(AuditFilter(app="bank"), "shop") == AuditPage([], None)
    assert scenario.audit.asked == []


def test_a_number_or_verification_is_looked_for_on_its_shard() -> None:
    """One shard instead of all; an id that cannot be ours is on none."""
    shard = shard_of(NUMBER, 16)
    by_number = asked(AuditFilter(to=PERSON))
    assert (by_number["wanted"], by_number["shards"]) == ({"number_hash": frozenset({NUMBER})}, [shard])
    delivery = REF.delivery_id(2)
    by_delivery = asked(AuditFilter(delivery_id=delivery))
    assert (by_delivery["wanted"], by_delivery["shards"]) == ({"delivery": frozenset({delivery})}, [shard])
    assert list(asked(AuditFilter(delivery_id="dlv_x"))["shards"]) == []
    by_id = asked(AuditFilter(verification_id=REF.verification_id))
    assert (by_id["wanted"], by_id["shards"]) == ({"verification": frozenset({REF.token})}, [shard])
    assert list(asked(AuditFilter(verification_id="vrf_x"))["shards"]) == []
    assert list(asked(AuditFilter())["shards"]) == list(range(16))


@pytest.mark.parametrize(
    ("since_ms", "first"), [(None, ZERO), (0, ZERO), (1, ZERO), (5_000, Position(4_999, 2**63 - 1))]
)
def test_both_ends_of_a_time_are_included(since_ms: int | None, first: Position) -> None:
    """Positions are exclusive, so the reading begins after the last one of the millisecond before."""
    found = asked(AuditFilter(since_ms=since_ms, until_ms=9_000, types=frozenset({"check.failed"})))
    assert found["positions"] == [first] * 16
    assert found["until_ms"] == 9_000
    assert found["wanted"] == {"type": frozenset({"check.failed"})}


def events(*moments: tuple[str, int, int]) -> list[Event]:
    """Events of apps, at milliseconds, on shards; each about one number."""
    return [
        Event(shard, Position(at_ms, 0), "check.failed", {"app": app, "number_hash": NUMBER})
        for app, at_ms, shard in moments
    ]


def pages(found: list[Event], limit: int, app: str | None = "shop") -> list[AuditPage]:
    """All pages that a reader of one app gets, one after the other."""
    browse = use_case(Scenario(audit=FakeAuditReader(found)))
    seen = [browse.audit(AuditFilter(limit=limit), app)]
    while seen[-1].next_cursor is not None:
        seen.append(browse.audit(AuditFilter(limit=limit, cursor=seen[-1].next_cursor), app))
    return seen


MINE = [("shop", 7_000, 3), ("shop", 7_500, 2), ("shop", 20_000, 3), ("shop", 20_100, 0)]
THEIRS = [("bank", 6_000, 3), ("", 7_600, 5), ("bank", 19_000, 2), ("bank", 30_000, 3), ("", 30_000, 15)]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_pages_are_the_same_whatever_other_apps_do(limit: int) -> None:
    """Events, and cursors to the byte: before, between and after one's own events, on the same shards and others."""
    alone = pages(events(*MINE), limit)
    assert [event.at_ms for page in alone for event in page.events] == [at_ms for _, at_ms, _ in MINE]
    assert len(alone) == -(-len(MINE) // limit)
    for others in (THEIRS[:1], THEIRS[3:], THEIRS):
        assert pages(events(*MINE, *others), limit) == alone


moments = st.tuples(st.sampled_from(["shop", "bank"]), st.integers(1, 20_000), st.integers(0, 15))


@given(st.lists(moments, unique_by=lambda moment: moment[1:]))
def test_pages_hold_each_event_once(moments: list[tuple[str, int, int]]) -> None:
    """In order of time, however small the pages are."""
    wanted = sorted((at_ms, shard) for app, at_ms, shard in moments if app == "shop")
    for limit in (1, 3):
        found = [(event.at_ms, event.shard) for page in pages(events(*moments), limit) for event in page.events]
        assert found == wanted


deaths = st.lists(st.frozensets(st.integers(0, 15)), max_size=8)


@given(st.lists(moments, unique_by=lambda moment: moment[1:]), deaths, st.sampled_from([1, 3, 100]))
def test_no_event_is_passed_over_while_shards_are_dead(
    moments: list[tuple[str, int, int]], deaths: list[frozenset[int]], limit: int
) -> None:
    """Each is shown once, whichever shards answer while the pages are read; at the end all do. A page that has nothing
    to show is refused, never called the last, and one that lacks something says so."""
    audit = FakeAuditReader(events(*moments))
    browse = use_case(Scenario(audit=audit))
    found: list[tuple[int, int]] = []
    cursor = None
    for dead in [*deaths, *[frozenset[int]()] * (len(moments) + 1)]:
        audit.dead = dead
        try:
            page = browse.audit(AuditFilter(limit=limit, cursor=cursor), "shop")
        except StoreUnavailable:
            assert dead
            continue
        shown = [(event.at_ms, event.shard) for event in page.events]
        assert shown == sorted(shown)
        assert (page.unread, page.next_cursor is None) == (dead, not dead and page.next_cursor is None)
        found += shown
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(found) == sorted((at_ms, shard) for app, at_ms, shard in moments if app == "shop")


def test_two_apps_know_one_number_by_two_hashes() -> None:
    """An app's is its `sub`; what belongs to no app has a third; none is the store's own."""
    found = pages(events(("shop", 1, 0), ("bank", 2, 0), ("", 3, 0)), 10, None)[0].events
    hashes = [event.number_hash for event in found]
    assert hashes[0] == RING.ids.subject("shop", NUMBER)
    assert len({*hashes, NUMBER}) == 4
    assert as_seen(found[0], None).number_hash is None


def test_a_cursor_goes_on_where_the_page_ended() -> None:
    """It wins over `since`; pages are bounded; at the end there is none; another's is refused."""
    places = [Position(n, 0) for n in range(16)]
    cursors = AuditCursors(RING, FakeKeyIds(), 16)
    found = asked(AuditFilter(cursor=cursors.text(places), since_ms=5_000, limit=10**9))
    assert (found["positions"], found["limit"]) == (places, MAX_PAGE + 1)
    assert use_case(Scenario()).audit(AuditFilter(), None).next_cursor is None
    assert set(cursors.text(places)) <= set(string.ascii_letters + string.digits + "-_.")
    good = cursors.text(places)
    for bad in (
        AuditCursors(RING, FakeKeyIds(), 3).text(places[:3]),
        good[:-1],
        good.replace(".", ":"),
        "k.",
        ".",
        "",
        "\u0663.x",
    ):
        with pytest.raises(ValueError, match="cursor"):
            use_case(Scenario()).audit(AuditFilter(cursor=bad), None)


def test_a_cursor_of_a_key_that_this_process_lacks_is_no_verdict() -> None:
    """Another process, which knows a newer key, gave the page before: try again. A made-up key is no cursor."""
    newer = parse(create(lambda n: bytes(range(7, 7 + n)), "2026-01-01T00:00:00Z"))
    cursor = AuditCursors(newer, FakeKeyIds(), 16).text([ZERO] * 16)
    with pytest.raises(KeyUnknown):
        use_case(Scenario(key_ids=FakeKeyIds(newer.active_kid))).audit(AuditFilter(cursor=cursor), None)
    with pytest.raises(ValueError, match="cursor"):
        use_case(Scenario()).audit(AuditFilter(cursor=cursor), None)


def test_a_page_that_had_to_stop_early_leads_on() -> None:
    """Where a reader looked at as much as it may in one go, its positions are the next page's."""
    stopped = EventPage([], [Position(9, 0)] * 16, at_end=False)
    assert next_positions([ZERO] * 16, stopped, 5) == [Position(9, 0)] * 16
