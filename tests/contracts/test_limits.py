"""Limits apart from the number, and the ids of keys: what every implementation promises."""

import pytest

from otp_service.domain.policy import Limit, Slot
from otp_service.storage.keyrings import Keyrings

from ..fakes import FakeKeyIds, FakeLimits
from ..storage.harness import StoreHarness
from ..storage.slots import Slots

HOUR_MS = 3_600_000


@pytest.fixture
def limits(real: StoreHarness | None) -> Slots:
    """Limits of which nothing is taken."""
    return real.limits if real else Slots(FakeLimits())


def place(subject: str, name: str = "app", most: int = 2) -> Slot:
    """A place in a limit of `most` an hour."""
    return Slot(name, subject, Limit(most, HOUR_MS))


def test_a_limit_lets_so_many_through(limits: Slots) -> None:
    """Then it says how long to wait; another subject or limit has its own."""
    assert [limits.acquire([place("shop")]) for _ in range(2)] == [0, 0]
    assert 0 < limits.acquire([place("shop")]) <= HOUR_MS
    assert limits.acquire([place("bank")]) == 0
    assert limits.acquire([place("shop", name="ip")]) == 0


def test_what_was_released_is_free_again(limits: Slots) -> None:
    """Once for each release."""
    limits.acquire([place("shop")])
    limits.acquire([place("shop")])
    limits.release([place("shop")])
    assert limits.acquire([place("shop")]) == 0
    assert limits.acquire([place("shop")]) > 0


def test_a_look_takes_nothing(limits: Slots) -> None:
    """It says what taking would say, also of several at once."""
    assert limits.look([]) == 0
    assert [limits.look([place("shop")]) for _ in range(5)] == [0] * 5
    assert [limits.acquire([place("shop")]) for _ in range(2)] == [0, 0]
    assert 0 < limits.look([place("bank"), place("shop")]) <= HOUR_MS
    limits.release([place("shop")])
    assert limits.look([place("shop")]) == 0


def test_all_are_taken_or_none(limits: Slots) -> None:
    """Where the second refuses, the first is as free as before."""
    narrow = place("203.0.113.7", name="ip", most=1)
    assert limits.acquire([narrow]) == 0
    for _ in range(3):
        assert limits.acquire([place("shop"), narrow]) > 0
    assert [limits.acquire([place("shop")]) for _ in range(2)] == [0, 0]


def test_each_is_answered_in_its_order(limits: Slots) -> None:
    """One that is full keeps nothing from the others; what was not taken is not given back."""
    outer, narrow, wide = limits.outer, place("203.0.113.8", name="ip", most=1), place("shop")
    first = outer.take([narrow, wide])
    second = outer.take([wide, narrow, wide])
    assert [one.wanted for one in second] == [wide, narrow, wide]
    assert [one.wait_ms > 0 for one in second] == [False, True, True]
    outer.give_back(second)
    assert [one.wait_ms > 0 for one in outer.look([narrow, wide])] == [True, False]
    outer.give_back(first)
    assert [one.wait_ms for one in outer.take([narrow, wide, wide])] == [0, 0, 0]


def test_a_key_is_known_once_some_process_has_it(real: StoreHarness | None) -> None:
    """And from then on."""
    ids = Keyrings(real.store, real.keys) if real else FakeKeyIds()
    assert not ids.known("k1")
    ids.register(["k1", "k2"])
    ids.register(["k2"])
    assert [ids.known(kid) for kid in ("k1", "k2", "k3")] == [True, True, False]
