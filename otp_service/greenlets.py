"""Waiting in an event loop without a thread: ordinary functions that are suspended where they wait.

The functions that answer a request are plain ones. Under a WSGI server they block a thread while the store works. In
the event loop they run in a greenlet: where they wait, the loop goes on with other requests. So there is one handler
for both servers, and it is the same code.

Two rules, because everything runs in the loop's one thread:

* No lock may be held while waiting. Another request that wants it would stop the whole process.
* Only what is made for the loop may wait here (`storage.pipelined`); a blocking call stops all requests.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import greenlet  # type: ignore[import-untyped]

T = TypeVar("T")


def start(work: Callable[[], None]) -> None:
    """Run `work` until it waits or ends. Only callbacks of the loop may call this. `work` must not raise."""
    greenlet.greenlet(work).switch()


def wait(begin: Callable[[Callable[[T], Any]], None]) -> T:
    """Suspend the work that `start` began, until the function that `begin` gets is called; returns its argument.

    That function is called once, by a callback of the loop, and never inside `begin`. Raises what `begin` raises, and
    RuntimeError outside of `start`.
    """
    current = greenlet.getcurrent()
    loop = current.parent
    if loop is None:
        raise RuntimeError("only work that `start` began can wait")
    begin(current.switch)
    result: T = loop.switch()
    return result
