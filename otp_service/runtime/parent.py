"""Following the parent: a process started by `processes.spawn` ends when its parent ends, however that ends.

Two ways, because each alone has a gap: the kernel's parent-death signal (Linux only), and a thread that checks the
parent's id (every system; it also ends a process that does not react to the signal).
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

PARENT_VARIABLE = "OTP_SERVICE_PARENT_PID"
"""The environment variable in which `spawn` passes the id of the parent to follow."""

LEFTOVER_VARIABLE = "OTP_SERVICE_PARENT_FILE"
"""Names a file that must not outlive the parent; `following_spawner` removes it if the parent no longer can."""

_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.25
_GRACE_S = 1.5
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
HAS_DEATH_SIGNAL = _LIBC is not None


def ask_parent_death_signal(number: signal.Signals) -> None:
    """Have the kernel send this process `number` when the thread that started it ends. Does nothing off Linux."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def follow_parent(expected: int, number: signal.Signals = signal.SIGTERM) -> None:
    """End this process when its parent `expected` is gone: `number` first, SIGKILL after a short grace.

    Also when the parent went before this was called, which the kernel's signal alone would miss.
    """
    ask_parent_death_signal(number)
    threading.Thread(target=_watch_parent, args=(expected, number), name="follow-parent", daemon=True).start()


def follow_spawner(environ: Mapping[str, str]) -> int | None:
    """`follow_parent` if `spawn` of this module started us, and then the parent's id.

    A command that a person started follows no process.
    """
    text = environ.get(PARENT_VARIABLE, "")
    # The variable may be inherited further down, by processes that have another parent.
    if text.isdigit() and int(text) == os.getppid():
        follow_parent(int(text))
        return int(text)
    return None


@contextlib.contextmanager
def following_spawner(environ: Mapping[str, str]) -> Iterator[None]:
    """`follow_spawner`, and at the end remove what a parent that was killed could not remove."""
    parent = follow_spawner(environ)
    try:
        yield
    finally:
        leftover = environ.get(LEFTOVER_VARIABLE)
        if leftover and parent is not None and os.getppid() != parent:
            Path(leftover).unlink(missing_ok=True)


def _watch_parent(expected: int, number: signal.Signals) -> None:
    while os.getppid() == expected:
        time.sleep(_WATCH_S)
    os.kill(os.getpid(), number)
    time.sleep(_GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)
