"""Why a verification ended without a right code: its time, its caller, or the person."""

from ..policy import MAX_LIFETIME_MS, NumberLimits
from .courses import Course, Delivery
from .history import History
from .record import Explanation, Happened, Step, checked, taken

_CLOCK_BACK_MS = 5_000


def explain_expiry(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """Its time was over, or the store began another run, in which no code of before is good."""
    course = history.course(event)
    ends_ms = min(course.expires_ms, course.started_ms + MAX_LIFETIME_MS)
    pending = _pending(course)
    if event.at_ms >= ends_ms:
        time = Step(f"its code ends at {ends_ms}", "it ends then", f"over by {event.at_ms - ends_ms} ms")
    elif event.at_ms + _CLOCK_BACK_MS < course.started_ms:
        time = Step("the store's clock was set back", "nobody knows how old it is", "over")
    else:
        restarted = history.was_restarted(course, event.at_ms)
        time = checked("its code still lives", "the store was restarted: no code of before is good", holds=restarted)
    return _ended("expired", (pending, time))


def explain_cancel(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """The caller withdrew it."""
    course = history.course(event)
    alive = checked("its code", "it still lives", holds=event.at_ms < course.expires_ms)
    return _ended("canceled", (_pending(course), alive, taken("the caller", "asked to cancel it")))


def explain_denial(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """The person answered the message with "that wasn't me"."""
    course = history.course(event)
    delivery = course.deliveries.get(event.ordinal)
    steps = (
        _pending(course),
        checked("its code", "it still lives", holds=event.at_ms < course.expires_ms),
        checked(
            f"delivery {event.ordinal}",
            "the person may have its message",
            holds=delivery is not None and _may_have(delivery),
        ),
        taken("the person's reply", "it denies in a word of the app, to this sender"),
    )
    return _ended("denied", steps)


def _may_have(delivery: Delivery) -> bool:
    return bool(delivery.tries) and (delivery.accepted or delivery.is_lost)


def _pending(course: Course) -> Step:
    return checked("the verification", "it is pending", holds=course.status == "pending")


def _ended(outcome: str, steps: tuple[Step, ...]) -> Explanation:
    return Explanation(outcome, outcome if all(step.holds for step in steps) else "unchanged", steps)
