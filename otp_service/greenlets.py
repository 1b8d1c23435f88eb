"""Waiting in an event loop without a thread: ordinary functions that are suspended where they wait.

The functions that answer a request are plain ones. Under a WSGI server they block a thread while the store works. In
the event loop they run in a greenlet: where they wait, the loop goes on with other requests. So there is one handler
for both servers, and it is the same code.

Two rules, because everything runs in the loop's one thread:

* No lock may be held while waiting. Another request that wants it would stop the whole process.
* Only what is made for the loop may wait here (`storage.pipelined`); a blocking call stops all requests.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

import greenlet  # type: ignore[import-untyped]

T = TypeVar("T")

IDLE_MAX = 128
"""Greenlets of one thread that are kept for later work. Each holds some 20 kB."""


class Left(BaseException):
    """Who asked for the work has gone. Not an Exception: nothing that answers faults may take it for one."""


class Work:
    """Work that was begun."""

    def __init__(self) -> None:
        self.event: Event | None = None
        """What it waits for now, if that is an event."""

    def leave(self) -> None:
        """Who asked for it has gone: where it waits for an event, it gets Left instead."""
        if self.event is not None:
            self.event.give_up()


class _Idle(threading.local):
    """The greenlets of this thread that have no work now."""

    def __init__(self) -> None:
        self.runners: list[_Runner] = []


_idle = _Idle()


class _Runner(greenlet.greenlet):  # type: ignore[misc]
    """A greenlet that does one piece of work after another.

    The interpreter maps memory for the frames of each new greenlet and unmaps it at the end, which costs more than all
    else that the front does with a request.
    """

    work: Work | None = None
    begins: Callable[[], None] | None = None
    resume: object = None
    """How its work goes on, while it waits."""

    def run(self) -> None:
        """Work, and wait for more."""
        while self.begins is not None:
            self.begins()
            # Nothing of a request may stay behind.
            self.begins = self.work = None
            if len(_idle.runners) >= IDLE_MAX:
                return
            _idle.runners.append(self)
            self.parent.switch()


def start(work: Callable[[], None]) -> Work:
    """Run `work` until it waits or ends. Only callbacks of the loop may call this. `work` must not raise.

    If `leave` is called it may get Left where it waits.
    """
    runners = _idle.runners
    runner = runners.pop() if runners else _Runner()
    runner.work = begun = Work()
    runner.begins = work
    # Context variables of earlier work are not those of this one.
    runner.gr_context = None
    runner.switch()
    return begun


def wait(begin: Callable[[Callable[[T], Any]], None]) -> T:
    """Suspend the work that `start` began, until the function that `begin` gets is called; returns its argument.

    That function is called by a callback of the loop, and never inside `begin`. Only its first call counts. Raises what
    `begin` raises, and RuntimeError outside of `start`.
    """
    current = greenlet.getcurrent()
    loop = current.parent
    if loop is None:
        raise RuntimeError("only work that `start` began can wait")

    def resume(result: T) -> None:
        # A second call must not wake what the greenlet does by then: that may be another request.
        if current.resume is resume:
            current.resume = None
            current.switch(result)

    current.resume = resume
    try:
        begin(resume)
    except BaseException:
        # Nobody waits: a late call must not wake what the greenlet does by then.
        current.resume = None
        raise
    result: T = loop.switch()
    return result


def off_loop(loop: asyncio.AbstractEventLoop, work: Callable[[], T], threads: Executor | None = None) -> T:
    """Run blocking work: in a thread, for which work of the loop waits; for any other thread right here.

    `threads`: those to choose from; the loop's own if there are none.
    """
    if greenlet.getcurrent().parent is None:
        return work()
    ended: asyncio.Future[T] = wait(lambda done: loop.run_in_executor(threads, work).add_done_callback(done))
    error = ended.exception()
    if error is None:
        return ended.result()
    # Raised where another error is handled, it would forget what raised it in the thread.
    raise error from (error.__cause__ or error.__context__)


class Event:
    """As `threading.Event`, for one piece of work of the loop that waits at a time. Set it in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_set = False
        self._resume: Callable[[None], Any] | None = None
        self._is_left = False

    def set(self) -> None:
        """Wake who waits. From now on nobody waits any more."""
        self._is_set = True
        self._loop.call_soon(self._wake)

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most so many seconds; whether it is. Raises Left."""
        if not self._is_set:
            timer = self._loop.call_later(timeout, self._wake)
            work = getattr(greenlet.getcurrent(), "work", None) or Work()
            work.event = self
            wait(self._suspend)
            work.event = None
            timer.cancel()
            if self._is_left:
                raise Left
        return self._is_set

    def give_up(self) -> None:
        """Raise Left in the work that waits. Call it in the loop."""
        self._is_left = True
        self._loop.call_soon(self._wake)

    def _suspend(self, resume: "Callable[[None], Any]") -> None:
        self._resume = resume

    def _wake(self) -> None:
        resume, self._resume = self._resume, None
        if resume is not None:
            resume(None)
