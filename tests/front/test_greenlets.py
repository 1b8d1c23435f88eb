"""Work of the loop runs in greenlets that are used again: nothing of one request may be seen by a later one."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import greenlet  # type: ignore[import-untyped]
import pytest

from otp_service import greenlets

_named: ContextVar[str] = ContextVar("named", default="nobody")


def _in_loop(check: Callable[[], None]) -> None:
    async def run() -> None:
        check()

    asyncio.run(run())


def test_a_greenlet_is_used_again_without_what_was_in_it() -> None:
    """Neither context variables nor the work itself stay behind."""
    seen: list[tuple[int, str]] = []

    class Secret:
        """What a request holds."""

    def make() -> tuple[Callable[[], None], "weakref.ref[Secret]"]:
        held = Secret()

        def work() -> None:
            seen.append((id(greenlet.getcurrent()), _named.get()))
            _named.set(repr(held))

        return work, weakref.ref(held)

    def check() -> None:
        for _ in range(2):
            work, held = make()
            greenlets.start(work)
            del work
            gc.collect()
            assert held() is None

    _in_loop(check)
    assert seen[0] == seen[1]
    assert seen[0][1] == "nobody"


def test_a_second_answer_wakes_nobody() -> None:
    """The greenlet may wait for something else by then, for another request."""
    resumes: list[Callable[[str], Any]] = []
    got: list[str] = []

    def work() -> None:
        got.append(greenlets.wait(resumes.append))

    def check() -> None:
        greenlets.start(work)
        resumes[0]("first")
        greenlets.start(work)
        resumes[0]("late")
        assert got == ["first"]
        resumes[1]("second")

    _in_loop(check)
    assert got == ["first", "second"]


def test_an_answer_to_what_could_not_be_begun_wakes_nobody() -> None:
    """The greenlet has no work then, and the next work that it gets is done."""
    resumes: list[Callable[[str], Any]] = []
    got: list[str] = []

    def begin(resume: Callable[[str], Any]) -> None:
        resumes.append(resume)
        raise OSError("the connection is gone")

    def work() -> None:
        with pytest.raises(OSError, match="gone"):
            greenlets.wait(begin)

    def check() -> None:
        greenlets.start(work)
        resumes[0]("late")
        greenlets.start(lambda: got.append("next"))

    _in_loop(check)
    assert got == ["next"]


def test_more_at_once_than_are_kept() -> None:
    """The others end with their work."""
    resumes: list[Callable[[int], Any]] = []
    got: list[int] = []

    def check() -> None:
        for _ in range(greenlets.IDLE_MAX + 5):
            greenlets.start(lambda: got.append(greenlets.wait(resumes.append)))
        for number, resume in enumerate(resumes):
            resume(number)

    _in_loop(check)
    assert got == list(range(greenlets.IDLE_MAX + 5))


def test_what_does_not_run_in_the_loop_cannot_wait() -> None:
    """There would be nobody to go on with meanwhile."""
    with pytest.raises(RuntimeError):
        greenlets.wait(lambda _: None)
