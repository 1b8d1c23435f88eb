"""The judge's rules about the audit log."""

from dataclasses import replace

import pytest

from . import breaches
from .evidence import Event, StoreFacts
from .judge import judge
from .sample_evidence import DLV, EVENTS, event, kinds_after, sample, without


@pytest.mark.parametrize("kind", sorted({each.type for each in EVENTS}))
def test_gap_if_the_log_misses_an_event_of_the_timeline(kind: str) -> None:
    """For every type of event."""
    kept = without(kind)
    evidence = replace(sample(), events=kept, store=StoreFacts(audit_events=len(kept)))
    assert breaches.GAP in {breach.kind for breach in judge(evidence).breaches}


@pytest.mark.parametrize("kind", [*sorted({each.type for each in EVENTS} - {"delivery.sending", "delivery.sent"})])
def test_gap_if_log_and_timeline_miss_an_event_that_a_response_implies(kind: str) -> None:
    """What responses and statuses report must be in the log, even if the timeline lacks it too."""
    assert breaches.GAP in {breach.kind for breach in judge(sample(without(kind))).breaches}


@pytest.mark.parametrize(
    "events",
    [
        (*EVENTS, EVENTS[-1]),
        (*EVENTS, event("delivery.delivered", 4, DLV)),
        (*EVENTS[:5], EVENTS[6], EVENTS[5], EVENTS[7]),
        (*EVENTS[1:], EVENTS[0]),
    ],
)
def test_gap_if_an_event_is_repeated_or_out_of_order(events: tuple[Event, ...]) -> None:
    """Each event is logged once, in order of time."""
    assert breaches.GAP in {breach.kind for breach in judge(sample(events)).breaches}


def test_the_audit_log_may_have_more_than_the_timeline() -> None:
    """Opt-outs and refused starts are not part of a verification's timeline."""
    events = (*EVENTS[:5], event("optout.added", 0.7, DLV), event("verification.refused", 0.8), *EVENTS[5:])
    assert judge(replace(sample(), events=events, store=StoreFacts(audit_events=len(events)))).breaches == []


def test_gap_if_the_listing_differs_from_the_store() -> None:
    """GET /audit/events lists what the store has."""
    assert kinds_after(lambda evidence: replace(evidence, store=StoreFacts(audit_events=99))) == {breaches.GAP}


def test_what_the_guard_took_stands_in_the_record_alone() -> None:
    """No timeline shows it."""
    first = replace(EVENTS[0], detail={"guard": "US|a|b|-:1.0:na"})
    assert kinds_after(lambda evidence: replace(evidence, events=(first, *EVENTS[1:]))) == set()
    other = replace(EVENTS[0], detail={"other": "x"})
    assert breaches.GAP in kinds_after(lambda evidence: replace(evidence, events=(other, *EVENTS[1:])))
