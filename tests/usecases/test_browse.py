"""Looking things up: who may see what, and filters that become positions and fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import pytest

from otp_service.domain.audit import ZERO, Event, Position, encode_cursor
from otp_service.domain.errors import InvalidNumber
from otp_service.domain.ids import Reference, shard_of
from otp_service.domain.operation import OptOut
from otp_service.domain.policy import Policy, Sender, SenderKind
from otp_service.keyring import create, parse
from otp_service.storage.audit_log import Page
from otp_service.usecases.browse import MAX_PAGE, AuditFilter, Browse

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
    """Store, registry and record in one."""

    view_: Any = None
    known: list[OptOut] = field(default_factory=list)
    page: Page = field(default_factory=lambda: Page([EVENT], [Position(5, 0)] * 16, at_end=True))
    asked: list[dict[str, Any]] = field(default_factory=list)
    shards: int = 16

    def view(self, ref: Reference, app: str) -> Any:
        """One verification."""
        return self.view_ if app == "shop" else None

    def timeline(self, ref: Reference) -> list[str]:
        """Its story."""
        return ["story"]

    def of_number(self, number: str) -> list[OptOut]:
        """What is known of a number."""
        return self.known if number == NUMBER else []

    def shard_of(self, number: str) -> int:
        """Where its events are."""
        return shard_of(number, self.shards)

    def read(self, positions: Sequence[Position], **rest: Any) -> Page:
        """A page."""
        self.asked.append({"positions": list(positions), **rest})
        return self.page


def story(scenario: Scenario) -> Browse:
    """The stories over this world."""
    anything = cast("Any", scenario)
    policy = Policy(MappingProxyType({}), MappingProxyType(SENDERS))
    return Browse(store=anything, optouts=anything, record=anything, vault=RING, policy=policy)


def asked(wanted: AuditFilter, visible_app: str | None = None) -> Mapping[str, Any]:
    """What the record is asked for."""
    scenario = Scenario()
    story(scenario).audit(wanted, visible_app)
    return scenario.asked[0]


def test_a_verification_is_its_own_apps() -> None:
    """Foreign, unknown and malformed ids are all nothing."""
    browse = story(Scenario(view_="view"))
    found: Any = browse.verification("shop", REF.verification_id)
    assert found == "view"
    assert browse.verification("bank", REF.verification_id) is None
    assert browse.verification("shop", "vrf_x") is None


def test_a_numbers_opt_outs_cover_every_profile_we_send_by() -> None:
    """What the registry does not know of is shown as not opted out; profiles we no longer use too."""
    scenario = Scenario(
        known=[OptOut("profile-z", True, 5, "STOP", "inbound"), OptOut("profile-a", True, 9, "STOP", "x")]
    )
    mask, entries = story(scenario).optouts(PERSON)
    assert mask == "+1******0143"
    assert [(entry.messaging_profile_id, entry.opted_out) for entry in entries] == [
        ("profile-a", True),
        ("profile-b", False),
        ("profile-z", True),
    ]
    with pytest.raises(InvalidNumber):
        story(scenario).optouts("2025550143")


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
    assert (by_number["wanted"], by_number["shards"]) == ({"nh": frozenset({NUMBER})}, [shard])
    by_id = asked(AuditFilter(verification_id=REF.verification_id))
    assert (by_id["wanted"], by_id["shards"]) == ({"vid": frozenset({REF.token})}, [shard])
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
    scenario = Scenario(page=Page([EVENT], places, at_end=False))
    assert story(scenario).audit(AuditFilter(), None).next_cursor == encode_cursor(places)
    assert story(Scenario()).audit(AuditFilter(), None).next_cursor is None
    with pytest.raises(ValueError, match="cursor"):
        story(Scenario()).audit(AuditFilter(cursor=encode_cursor(places[:3])), None)
