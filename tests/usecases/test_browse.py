"""Looking things up: who may see what, and filters that become positions and fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest

from otp_service.domain.audit import ZERO, Event, Position, encode_cursor
from otp_service.domain.errors import InvalidNumber
from otp_service.domain.ids import shard_of
from otp_service.domain.optout_list import OptOut
from otp_service.domain.policy import Policy, Sender, SenderKind
from otp_service.keyring import create, parse
from otp_service.usecases.browse import MAX_PAGE, AuditFilter, Browse
from tests.fakes import FakeAuditReader, FakeOptOuts, FakeVerifications, verification_view

RING = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
PERSON = "+12025550143"
NUMBER = RING.ids.number_hash(PERSON)
REF = RING.ids.new(NUMBER, bytes(10))
SENDERS = {
    name: Sender(name, SenderKind.NUMBER_POOL, profile, None, 1.0)
    for name, profile in (("a", "profile-a"), ("b", "profile-b"), ("c", "profile-a"))
}
EVENT = Event(1, Position(5, 0), "check.failed", {})


@dataclass
class Scenario:
    """What is behind the ports."""

    store: FakeVerifications = field(default_factory=FakeVerifications)
    known: FakeOptOuts = field(default_factory=FakeOptOuts)
    audit: FakeAuditReader = field(default_factory=lambda: FakeAuditReader([EVENT]))


def use_case(scenario: Scenario) -> Browse:
    """The use case of one process."""
    policy = Policy(MappingProxyType({}), MappingProxyType(SENDERS))
    return Browse(store=scenario.store, optouts=scenario.known, record=scenario.audit, vault=RING, policy=policy)


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


def test_a_numbers_opt_outs_cover_every_profile_we_send_by() -> None:
    """What the registry does not know of is shown as not opted out; profiles we no longer use too."""
    scenario = Scenario()
    for entry in (OptOut("profile-z", True, 5, "STOP", "inbound"), OptOut("profile-a", True, 9, "STOP", "x")):
        scenario.known.record(NUMBER, "+1******0143", entry, None)
    mask, entries = use_case(scenario).optouts(PERSON)
    assert mask == "+1******0143"
    assert [(entry.messaging_profile_id, entry.opted_out) for entry in entries] == [
        ("profile-a", True),
        ("profile-b", False),
        ("profile-z", True),
    ]
    with pytest.raises(InvalidNumber):
        use_case(scenario).optouts("2025550143")


def test_a_reader_of_one_app_sees_its_events_and_those_of_nobody() -> None:
    """Asking for another app's gives nothing, whatever else is asked."""
    assert asked(AuditFilter(), "shop")["wanted"] == {"app": frozenset({"shop", ""})}
    assert asked(AuditFilter(app="shop"), "shop")["wanted"] == {"app": frozenset({"shop"})}
    assert asked(AuditFilter(app="bank"), "shop")["wanted"] == {"app": frozenset()}
    assert asked(AuditFilter(app="bank"))["wanted"] == {"app": frozenset({"bank"})}
    assert asked(AuditFilter())["wanted"] == {}


def test_a_number_or_verification_is_looked_for_on_its_shard() -> None:
    """One shard instead of all; an id that cannot be ours is on none."""
    shard = shard_of(NUMBER, 16)
    by_number = asked(AuditFilter(to=PERSON))
    assert (by_number["wanted"], by_number["shards"]) == ({"number_hash": frozenset({NUMBER})}, [shard])
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


def test_a_cursor_goes_on_where_the_page_ended() -> None:
    """It wins over `since`; pages are bounded; at the end there is none; another's is refused."""
    places = [Position(n, 0) for n in range(16)]
    found = asked(AuditFilter(cursor=encode_cursor(places), since_ms=5_000, limit=10**9))
    assert (found["positions"], found["limit"]) == (places, MAX_PAGE)
    scenario = Scenario(audit=FakeAuditReader([EVENT, replace(EVENT, position=Position(6, 0))]))
    page = use_case(scenario).audit(AuditFilter(limit=1), None)
    assert (page.events, page.next_cursor) == ([EVENT], encode_cursor([ZERO, EVENT.position, *[ZERO] * 14]))
    assert use_case(Scenario()).audit(AuditFilter(), None).next_cursor is None
    with pytest.raises(ValueError, match="cursor"):
        use_case(Scenario()).audit(AuditFilter(cursor=encode_cursor(places[:3])), None)
