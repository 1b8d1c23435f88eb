"""Any sequence of what callers, people, workers and the carrier can do, against a model in plain Python.

The model knows the rules of `domain.verification` and the contract, and nothing of scripts or keys. Time is moved by
making everything of the number older. One number; two apps and two purposes, so that budgets, ladder and caps reach
over verifications. The model says for every start whether it is refused, by what, and for how long.
"""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from otp_service.domain.delivery import RANK, DeliveryStatus
from otp_service.domain.verification import Status

from .harness import BACKUP, POOL, StoreHarness
from .state_machine_deliveries import Workers
from .state_model import APP, HOUR_MS, LIMITS

_ENDS = {f"verification.{status}" for status in Status if status is not Status.PENDING}


class Machine(Workers):
    """The store against the model: what always holds."""

    @invariant()
    def agrees(self) -> None:
        """Store and model agree on every verification; secrets stand only where a guess may be judged."""
        self.away_from_edges()
        for ref, model in self.models.items():
            record = self.harness.record(ref)
            assert record["status"] == model.status
            assert int(record["attempts"]) == model.attempts <= APP.max_checks
            assert int(record["sends"]) == model.sends
            assert int(record["expires_ms"]) == model.expires_ms
            assert int(record["expires_ms"]) - int(record["created_ms"]) <= 600_000
            if model.status is not Status.PENDING:
                assert not self.harness.raw.exists(self.harness.keys.secrets(ref))
            view = self.harness.verifications.view(ref, model.app.name)
            assert view is not None
            assert view.status is model.seen_as
            events = self.harness.events(ref)
            assert events.count("verification.approved") == (model.status is Status.APPROVED)
            assert sum(event in _ENDS for event in events) == (model.status is not Status.PENDING)
            assert events.count("receipt.redeemed") == model.spent

    @invariant()
    def deliveries_move_up(self) -> None:
        """No delivery ever permits back, each has a sender of the route, and the next sender follows once."""
        for ref, model in self.models.items():
            record = self.harness.record(ref)
            for ordinal in range(1, int(record["deliveries"]) + 1):
                rank = RANK[DeliveryStatus(record[f"{ordinal}:status"])]
                assert rank >= model.seen_rank.get(ordinal, 0)
                model.seen_rank[ordinal] = rank
                assert record[f"{ordinal}:sender"] in (POOL.name, BACKUP.name)
            assert self.harness.events(ref).count("delivery.fell_back") == len(model.claimed)

    @invariant()
    def the_budgets_only_grow(self) -> None:
        """What is counted against the number is what was judged wrong, over all its verifications."""
        number = self.harness.hash_of(self.number)
        for app, times in self.wrong.items():
            assert self.harness.wrong_codes(number, app) == times[::-1]
        everywhere = sorted(time for times in self.wrong.values() for time in times)
        assert self.harness.wrong_codes(number) == everywhere[::-1]

    @invariant()
    def every_send_counts(self) -> None:
        """Those that the carrier may have and a cap or the ladder counts, whatever became of the verifications."""
        entries = self.harness.sends(self.harness.hash_of(self.number))
        newest = sorted(self.counted, key=lambda send: -send.at_ms)
        window_ms = max(HOUR_MS, *(limit.per_ms for limit in LIMITS.sends))
        counting = [send for send in newest if send.at_ms + window_ms > self.harness.now()]
        assert len(counting) <= len(entries)
        expected = [
            f"{send.at_ms}\x1f{send.app}\x1f{send.purpose}" if send.on_ladder else f"{send.at_ms}\x1f\x1f"
            for send in newest[: len(entries)]
        ]
        assert Counter(entries) == Counter(expected)

    @invariant()
    def one_pending_at_most(self) -> None:
        """Per purpose at most one verification can still be approved."""
        usable = [ref for ref, model in self.models.items() if model.usable]
        assert set(usable) <= set(self.latest.values())


@pytest.fixture
def machine(harness: StoreHarness) -> type[Machine]:
    """The machine over this store."""

    class Bound(Machine):
        pass

    Bound.harness = harness
    return Bound


def test_no_sequence_of_events_breaks_the_rules(machine: type[Machine]) -> None:
    """At most one approval, tries bounded, budgets never shrink, ends are final, deliveries only move up."""
    # The scripts are the same on both. What only a Cluster refuses, a key of another slot, is tried with every script
    # in `test_scripts`.
    examples = 6 if machine.harness.store.is_cluster else 20
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=50, derandomize=True),
    )
