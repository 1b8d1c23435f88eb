"""The judge's rules about callbacks: every event of a verification is posted to the app, signed, and stays the same."""

from collections import Counter
from collections.abc import Iterable, Iterator

from .breaches import CALLBACK, Breach
from .case import ELECTIONS, Case, group_by
from .evidence import Callback, Event

FORGOTTEN_S = 10.0
"""How near to an election an event may have been posted that the new primary does not know."""

POSTED = frozenset(
    {
        *(f"verification.{name}" for name in ("started", "resent", "approved", "expired", "exhausted", "canceled")),
        *(f"delivery.{name}" for name in ("sent", "delivered", "failed", "unconfirmed", "unknown", "suppressed")),
        *("verification.denied", "check.failed", "delivery.expired", "delivery.fell_back"),
        *(
            f"factor.{name}"
            for name in ("enrolled", "added", "approved", "check_failed", "code_used", "codes_replaced")
        ),
        *("factor.codes_low", "factor.number_told"),
    }
)
"""The events that the guide to callbacks promises."""


def arrived(callbacks: Iterable[Callback]) -> "Counter[tuple[str, str]]":
    """How many callbacks arrived, by verification and type; a repeat counts once."""
    ids = {(call.verification_id, call.type, call.id) for call in callbacks}
    return Counter((verification, kind) for verification, kind, _ in ids)


def promised(events: Iterable[Event]) -> "Counter[tuple[str, str]]":
    """How many callbacks there have to be for these events."""
    return Counter((event.verification_id, event.type) for event in events if event.type in POSTED)


def callback_lost(case: Case) -> Iterator[Breach]:
    """The app gets each promised event at least once, and no other."""
    if case.evidence.callbacks is None:
        return
    received, recorded = arrived(case.evidence.callbacks), promised(case.evidence.events)
    # What was recorded after callbacks had been awaited may still come.
    awaited = promised(event for event in case.evidence.events if event.at <= case.evidence.judged_at)
    for (verification, kind), count in sorted((awaited - received).items()):
        yield Breach(CALLBACK, verification, f"{count} of {recorded[verification, kind]} x {kind} never arrived")
    for (verification, kind), count in sorted((received - recorded).items()):
        if _was_forgotten(case, verification, kind):
            continue
        yield Breach(CALLBACK, verification, f"{count} x {kind} too many: no such event is recorded")


def _was_forgotten(case: Case, verification: str, kind: str) -> bool:
    """Whether the event may have been recorded by a primary that another one then took the place of."""
    times = [each.received_at for each in case.evidence.callbacks or () if _is(each, verification, kind)]
    return any(case.during(ELECTIONS, at - FORGOTTEN_S, at + FORGOTTEN_S) for at in times)


def _is(callback: Callback, verification: str, kind: str) -> bool:
    return (callback.verification_id, callback.type) == (verification, kind)


def callback_changed(case: Case) -> Iterator[Breach]:
    """Every callback is signed with the app's secret; a repeat has the same id and bytes."""
    for name, calls in group_by(case.evidence.callbacks or (), lambda call: call.id).items():
        if not all(call.signed for call in calls):
            yield Breach(CALLBACK, name, "a callback without the app's signature")
        if len({call.digest for call in calls}) > 1:
            yield Breach(CALLBACK, name, "the same id with other bytes")
