"""Any sequence of what callers, people, workers and the carrier can do: each decision on record explains itself.

The decisions are those of the store's scripts, the explanations those of `domain.explaining`, from the events alone.
"""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from otp_service.bootstrap.explaining import refusal_of
from otp_service.domain.explaining.explain import DECISIONS, explain_next
from otp_service.domain.explaining.history import History
from otp_service.domain.explaining.record import Explanation, Happened
from otp_service.domain.optout_list import OptOut
from otp_service.domain.policy import Policy
from otp_service.storage.audit_entries import events_of

from .harness import POOL, SENDERS, StoreHarness, word
from .state_machine_deliveries import Workers
from .state_model import APPS, LIMITS

POLICY = Policy(APPS, {sender.name: sender for sender in SENDERS}, LIMITS)


def policy_of(_: str | None) -> Policy:
    """The configuration of everything here."""
    return POLICY


def happened(harness: StoreHarness, number: str, after: str = "-") -> Iterator[tuple[str, Happened]]:
    """The number's events behind this entry of its stream, each with its entry."""
    number_hash = harness.hash_of(number)
    shard = harness.keys.shard(number_hash)
    for entry, fields in harness.raw.xrange(harness.keys.audit(shard), min=after):
        for event in events_of(shard, entry, fields):
            if event.number_hash == number_hash:
                about = (event.type, event.app, event.verification_id, event.delivery_id, event.policy)
                yield entry, Happened(0, event.at_ms, *about, event.detail)


def explained(events: list[Happened]) -> Iterator[tuple[Happened, Explanation]]:
    """Each decision with its explanation."""
    history = History(policy_of)
    for event in events:
        found = explain_next(event, history, policy_of, refusal_of)
        assert (found is None) == (event.type not in DECISIONS)
        if found is not None:
            yield event, found
        history.follow(event)


class Recorded(Workers):
    """What happened, as the record has it. It grows as old as all else of the number."""

    seen: set[str]

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Happened] = []
        self.newest = ""

    def pass_time(self, ms: int) -> None:
        """The events grow older, too."""
        self.collect()
        self.events = [replace(event, at_ms=event.at_ms - ms) for event in self.events]
        super().pass_time(ms)

    def collect(self) -> None:
        """Take in the new events."""
        for entry, event in happened(self.harness, self.number, f"({self.newest}" if self.newest else "-"):
            self.newest = entry
            self.events.append(event)

    def teardown(self) -> None:
        """Every decision explains to the outcome that is on record."""
        self.collect()
        for event, explanation in explained(self.events):
            type(self).seen.add(event.type)
            assert explanation.agrees, f"{event}\n{explanation}"

    @precondition(lambda self: self.models)
    @rule(out=st.sampled_from([True, False, False]))
    def write(self, out: bool) -> None:
        """The person writes START; a STOP would end this machine's model of routes."""
        wish = OptOut(POOL.messaging_profile_id, False, self.harness.now(), "START", "inbound")
        if not out:
            self.harness.optouts.record(self.harness.hash_of(self.number), "+1", wish, word("event"))


def test_every_decision_explains_to_its_outcome(server_harness: StoreHarness) -> None:
    """Whatever happens, the record and the rules agree."""

    class Bound(Recorded):
        pass

    Bound.harness, Bound.seen = server_harness, set()
    run_state_machine_as_test(Bound, settings=settings(max_examples=16, stateful_step_count=45, derandomize=True))
    assert Bound.seen >= {
        "verification.started",
        "verification.resent",
        "verification.refused",
        "verification.approved",
        "verification.exhausted",
        "verification.expired",
        "verification.canceled",
        "verification.denied",
        "check.failed",
        "delivery.queued",
        "delivery.sending",
        "delivery.failed",
        "delivery.fell_back",
    }
