"""Work that waits in an event loop: one piece after the other in the same greenlet, and nothing left between them."""

import gc
import weakref
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from otp_service import greenlets

_mark: ContextVar[str] = ContextVar("mark", default="")
Resume = Callable[[str], object]


def test_work_does_not_see_the_context_of_the_work_before() -> None:
    """Who causes what stands in a context variable."""
    seen: list[str] = []

    def work() -> None:
        seen.append(_mark.get())
        _mark.set("set")
        seen.append(_mark.get())

    for _ in range(2):
        greenlets.start(work)
    assert seen == ["", "set", "", "set"]


def test_nothing_is_kept_of_work_that_ended() -> None:
    """A greenlet without work holds neither the request nor its connection."""

    class Request:
        def work(self) -> None:
            pass

    request = Request()
    ended, work = weakref.ref(request), weakref.ref(greenlets.start(request.work))
    del request
    gc.collect()
    assert (ended(), work()) == (None, None)


def test_each_piece_of_work_gets_its_own_answer() -> None:
    """Also of more work at once than greenlets are kept for, and again when it has ended."""
    for _ in range(2):
        resumes: list[Resume] = []
        answers: list[str] = []
        many = greenlets.MOST_IDLE + 10
        for _ in range(many):
            greenlets.start(lambda: answers.append(greenlets.wait(resumes.append)))  # noqa: B023 - used at once
        for number, resume in enumerate(reversed(resumes)):
            resume(str(number))
        assert answers == [str(number) for number in range(many)]


def test_work_that_raises_is_no_reason_for_the_next_to_fail() -> None:
    """The error comes to whoever began the work."""

    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        greenlets.start(work)
    done: list[bool] = []
    greenlets.start(lambda: done.append(True))
    assert done == [True]


def test_work_begins_no_work() -> None:
    """What the other one waits for would come back to the wrong place."""
    raised: list[RuntimeError] = []

    def work() -> None:
        try:
            greenlets.start(raised.clear)
        except RuntimeError as error:
            raised.append(error)

    greenlets.start(work)
    assert len(raised) == 1
