"""What supporters and callers are told of a number or subject waits for the replicas, and nothing is written before."""

from collections.abc import Callable

import pytest

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.guard.policy import GuardPolicy
from otp_service.domain.person import Also
from otp_service.storage import scripts
from otp_service.storage.guarded_numbers import GuardedNumbers
from otp_service.storage.people import People
from otp_service.storage.replica_guard import ReplicaGuard

from .factors import new_subject, set_tries
from .harness import StoreHarness, fresh_number


def written(harness: StoreHarness) -> dict[str, object]:
    """All but what is kept of the replicas themselves, and what other processes say of themselves."""
    return {key: value for key, value in harness.snapshot().items() if not key.endswith((":run", ":live_processes"))}


def test_a_lift_or_a_completed_login_is_refused_while_no_replica_has_it(
    harness: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new primary would know nothing of what somebody was told."""
    ref, subject = harness.start(fresh_number()).reference, new_subject(harness)
    set_tries(harness, subject, 7, 1_000)
    people, guarded = (
        People(harness.store, harness.scripts, harness.keys),
        GuardedNumbers(harness.scripts, harness.keys),
    )
    acts: list[Callable[[], object]] = [
        lambda: people.lift_lock(ref.number_hash, "+1", "shop", "a reason", Also()),
        lambda: people.lift_optouts(ref.number_hash, "+1", ["a"], "shop", "a reason"),
        lambda: harness.factors.lift(subject, "a reason"),
        lambda: guarded.complete(ref, "shop", GuardPolicy()),
    ]
    guard = harness.scripts.guard = ReplicaGuard()
    guard.on, guard.expected = True, 1
    before = written(harness)
    with monkeypatch.context() as brief:  # there is no replica to wait for
        brief.setattr(scripts, "WAIT_MS", 20)
        for act in acts:
            for run in map(harness.keys.run, range(harness.keys.shards)):
                guard.learn(run, 1)
            with pytest.raises(StoreUnavailable, match="too few replicas"):
                act()
    assert written(harness) == before
    guard.on = False
    for act in acts:
        act()
    assert written(harness) != before
