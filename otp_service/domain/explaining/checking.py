"""Why a guess was approved or failed. That a code was right or wrong is taken as recorded: the record holds no code."""

from collections.abc import Iterator

from ..binding import UNBOUND_CHECKS
from ..policy import NumberLimits
from .courses import Course
from .history import History
from .record import Explanation, Happened, Step, checked, taken
from .starting import spent


def explain_wrong(event: Happened, history: History, everywhere: NumberLimits) -> Explanation:
    """A guess that was compared and wrong, or lacked the verifier."""
    course = history.course(event)
    if "checks_left" not in event.detail:
        return _unbound(event, course)
    left = course.max_checks - course.attempts - 1
    steps = (
        *_judged(event, history, course, everywhere),
        taken("the code", "it was compared, and wrong"),
        Step(f"guesses before: {course.attempts}", f"at most {course.max_checks}", f"{left} left"),
    )
    return Explanation(_wrong(event.detail["checks_left"]), _outcome(steps, _wrong(left)), steps)


def _wrong(left: object) -> str:
    return f"wrong, {left} checks left"


def _unbound(event: Happened, course: Course) -> Explanation:
    steps = (
        checked("the verification", "it is pending", holds=course.is_pending(event.at_ms)),
        taken("the verifier", "it is missing or another one"),
        checked(
            f"checks without it before: {course.unbound}",
            f"at most {UNBOUND_CHECKS} are answered",
            holds=course.unbound < UNBOUND_CHECKS,
        ),
    )
    return Explanation("wrong, not compared", _outcome(steps, "wrong, not compared"), steps)


def explain_exhausted(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """The last guess ended it."""
    course = history.course(event)
    steps = (
        checked("the verification", "it has not ended before", holds=course.status == "pending"),
        checked(
            f"wrong guesses: {course.attempts}",
            f"{course.max_checks} end it",
            holds=course.attempts >= course.max_checks,
        ),
    )
    return Explanation("exhausted", _outcome(steps, "exhausted"), steps)


def explain_approval(event: Happened, history: History, everywhere: NumberLimits) -> Explanation:
    """The first right guess."""
    course = history.course(event)
    steps = (
        *_judged(event, history, course, everywhere),
        checked(
            f"guesses before: {course.attempts}",
            f"at most {course.max_checks}",
            holds=course.attempts < course.max_checks,
        ),
        # Whoever says a right code is approved, however they came to know it. `audit check` judges whether they could.
        Step("the code", "a message was given to the carrier", "yes" if course.was_sent else "no"),
        taken("the code", "it was compared, and right"),
    )
    return Explanation("approved", _outcome(steps, "approved"), steps)


def _judged(event: Happened, history: History, course: Course, everywhere: NumberLimits) -> Iterator[Step]:
    yield checked("the verification", "it is pending", holds=course.status == "pending")
    yield checked(
        f"its code ends at {course.expires_ms}", f"it is compared before: {event.at_ms}", holds=in_time(event, course)
    )
    if course.subject:
        yield taken("the subject's budget", "it has a try left")
        return
    budget = spent(history, event, everywhere)
    told = "they have not spent it" if budget is None else f"{budget.name} refuses for {budget.wait_ms} ms"
    yield Step("wrong codes of the number", "they are below its budget", told, holds=budget is None)


def in_time(event: Happened, course: Course) -> bool:
    """Whether the code still lived."""
    return event.at_ms < course.expires_ms


def _outcome(steps: tuple[Step, ...], outcome: str) -> str:
    """The outcome, unless a step says that the service must have refused."""
    return outcome if all(step.holds for step in steps) else "refused"
