"""Blocking work of a request in the event loop: it waits for a thread, and all others go on."""

import asyncio
import threading
from functools import partial

import pytest

from otp_service.greenlets import off_loop

from .loops import LoopThread


def test_the_loop_goes_on_meanwhile() -> None:
    """And the request gets what the work returns, or raises."""
    goes_on = threading.Event()

    def work() -> str:
        assert goes_on.wait(30)
        return threading.current_thread().name

    with LoopThread() as looping:
        waiting = looping.begin(partial(off_loop, looping.loop, work))
        name = looping.run(lambda: threading.current_thread().name)
        assert not waiting.done()
        goes_on.set()
        assert waiting.result(30) != name
        with pytest.raises(ZeroDivisionError):
            looping.run(lambda: off_loop(looping.loop, lambda: 1 // 0))


def test_an_error_keeps_what_it_came_from() -> None:
    """Also where another one is handled: by its cause it is known whether anything was sent."""

    def refused() -> None:
        try:
            raise ConnectionRefusedError
        except OSError:
            raise RuntimeError("refused")  # noqa: B904 - as redis-py does

    def again(loop: asyncio.AbstractEventLoop) -> None:
        try:
            off_loop(loop, lambda: 1 // 0)
        except ZeroDivisionError:
            off_loop(loop, refused)

    with LoopThread() as looping, pytest.raises(RuntimeError) as raised:
        looping.run(lambda: again(looping.loop))
    assert isinstance(raised.value.__cause__ or raised.value.__context__, ConnectionRefusedError)


def test_any_other_thread_does_it_itself() -> None:
    """One of Flask's, which may block."""
    loop = asyncio.new_event_loop()
    assert off_loop(loop, threading.current_thread) is threading.current_thread()
    loop.close()
