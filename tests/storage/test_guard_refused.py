"""Whether the guard refused a number within the hour: by the store's clock, whatever else refuses it."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import pytest

from otp_service.domain.guard.policy import DAY_MS, GuardPolicy
from otp_service.domain.starting import StartRefused
from otp_service.storage.people import People
from otp_service.storage.schema.fields import Refused
from otp_service.storage.store import Store

from .guard import CLOCK, Clocked, GuardedApp
from .harness import StoreHarness

HOUR_MS = 3_600_000
NUMBER = "+12025551099"


class ClockedStore(Store):
    """Tells the clock of the test."""

    def read_at(self, commands: Sequence[Sequence[str | int | bytes]]) -> tuple[list[Any], int]:
        """With that clock."""
        replies, _ = super().read_at(commands)
        return replies, int(self.client.get(CLOCK) or 0)


@pytest.fixture
def app(redis_url: str, redis_server: object) -> Iterator[GuardedApp]:
    """An app whose guard refuses the number at once."""
    harness = StoreHarness.open(redis_url, Clocked)
    harness.raw.set(CLOCK, harness.now() + DAY_MS)
    made = GuardedApp(harness, GuardPolicy(monitor_approvals=0))
    for line in range(5):
        made.start(f"+1202555100{line}")
    yield made
    harness.close()


def refuse(app: GuardedApp) -> None:
    """By the guard."""
    outcome = app.start(NUMBER)
    assert isinstance(outcome, StartRefused)
    assert outcome.code == "guard_refused"


def refused_within_the_hour(app: GuardedApp) -> bool:
    """As a lift asks."""
    store = app.harness.store
    clocked = ClockedStore(**{one.name: getattr(store, one.name) for one in fields(Store)})
    people = People(clocked, app.harness.scripts, app.harness.keys)
    return people.guard_refused(app.harness.hash_of(NUMBER), "shop")


@pytest.mark.parametrize("quiet", [False, True])
def test_an_hour_to_the_millisecond(app: GuardedApp, quiet: bool) -> None:
    """Counted from the last refusal, also from one that is not on record; other refusals prolong nothing."""
    raw = app.harness.raw
    assert not refused_within_the_hour(app)
    refuse(app)
    if quiet:
        raw.incrby(CLOCK, 900)
        refuse(app)
    assert refused_within_the_hour(app)
    key = app.harness.keys.start_refusals(app.harness.hash_of(NUMBER), "shop")
    assert int(raw.hget(key, f"guard_refused{Refused.LAST}")) == int(raw.get(CLOCK))
    raw.incrby(CLOCK, HOUR_MS - 1)
    assert refused_within_the_hour(app)
    raw.incrby(CLOCK, 1)
    # The key is still there, as after a later refusal of another kind.
    assert raw.exists(key)
    assert not refused_within_the_hour(app)
