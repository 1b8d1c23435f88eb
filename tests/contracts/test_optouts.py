"""The opt-out registry: what every implementation promises."""

import pytest

from otp_service.domain.audit import ZERO
from otp_service.domain.optout_list import OptOut
from otp_service.usecases.ports import OptOutRegistry

from ..fakes import FakeOptOuts
from ..storage.harness import StoreHarness

PERSON, OTHER, MASK = "00" * 10, "11" * 10, "+1******0143"


@pytest.fixture
def registry(real: StoreHarness | None) -> OptOutRegistry:
    """An empty registry."""
    return real.optouts if real else FakeOptOuts()


def wish(at_ms: int, *, out: bool = True, profile: str = "a") -> OptOut:
    """What a person wrote."""
    return OptOut(profile, out, at_ms, "STOP" if out else "START", "inbound")


def unclear(real: StoreHarness | None, registry: OptOutRegistry) -> list[str]:
    """The numbers of which an unclear reply is on record."""
    if isinstance(registry, FakeOptOuts):
        return [number for number, *_ in registry.unclear]
    assert real is not None
    shards = range(real.audit.shards)
    found = real.audit.read(
        [ZERO] * len(shards), shards=shards, until_ms=None, limit=9, wanted={"type": frozenset({"reply.unclear"})}
    )
    return [event.fields["number_hash"] for event in found.events]


def test_an_unclear_reply_is_recorded_once_in_a_while(real: StoreHarness | None, registry: OptOutRegistry) -> None:
    """For each number; it is no wish."""
    for number in (PERSON, PERSON, OTHER):
        registry.record_unclear(number, MASK, "a")
    assert sorted(unclear(real, registry)) == [PERSON, OTHER]
    assert registry.of_number(PERSON) == []


@pytest.mark.parametrize(
    ("first", "second", "outcome", "stands"),
    [
        (wish(5), wish(6, out=False), "changed", wish(6, out=False)),
        (wish(5), wish(6), "same", wish(6)),
        (wish(5), wish(4, out=False), "older", wish(5)),
        (wish(5), wish(5, out=False), "older", wish(5)),
        (wish(5, out=False), wish(5), "changed", wish(5)),
        (wish(5, out=False), wish(4), "older", wish(5, out=False)),
    ],
)
def test_the_latest_wish_counts_and_of_two_at_once_the_opt_out(
    registry: OptOutRegistry, first: OptOut, second: OptOut, outcome: str, stands: OptOut
) -> None:
    """Whatever the order of arrival."""
    assert registry.record(PERSON, MASK, first, "e1") == "changed"
    assert registry.record(PERSON, MASK, second, "e2") == outcome
    assert registry.of_number(PERSON) == [stands]


def test_an_event_counts_once(registry: OptOutRegistry) -> None:
    """A repeat changes nothing; what has no event may be repeated."""
    assert registry.record(PERSON, MASK, wish(5), "e1") == "changed"
    assert registry.record(PERSON, MASK, wish(6, out=False), "e1") == "duplicate"
    assert registry.record(PERSON, MASK, wish(6), None) == "same"
    assert registry.record(PERSON, MASK, wish(7), None) == "same"


def test_profiles_and_numbers_are_apart(registry: OptOutRegistry) -> None:
    """Each profile has its own entry of a person, in the order of their names."""
    registry.record(PERSON, MASK, wish(5, profile="b"), None)
    registry.record(PERSON, MASK, wish(5, profile="a"), None)
    registry.record(OTHER, MASK, wish(5), None)
    assert registry.of_number(PERSON) == [wish(5, profile="a"), wish(5, profile="b")]
    assert {one.number_hash for one in registry.standing("a")} == {PERSON, OTHER}
    assert [(one.number_hash, one.mask, one.entry) for one in registry.standing("b")] == [
        (PERSON, MASK, wish(5, profile="b"))
    ]


def test_only_what_has_not_changed_is_lifted(registry: OptOutRegistry) -> None:
    """A wish that came while the carrier's list was read stays."""
    registry.record(PERSON, MASK, wish(5), None)
    (standing,) = registry.standing("a")
    registry.record(PERSON, MASK, wish(6), None)
    assert not registry.lift("a", standing)
    (standing,) = registry.standing("a")
    assert registry.lift("a", standing)
    assert not registry.lift("a", standing)
    assert (registry.of_number(PERSON), list(registry.standing("a"))) == ([], [])
