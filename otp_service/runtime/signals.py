"""Requests to end this process: signals, and the terminal that it was started from."""

import os
import signal
import sys
import threading
from collections.abc import Callable


class Terminal:
    """The terminal that this process was started from, if any."""

    def __init__(self) -> None:
        self._had = _has_terminal()

    def gone(self) -> bool:
        """Whether there was one and is none now: the kernel detaches it before it sends SIGHUP."""
        return self._had and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


class Stop(threading.Event):
    """Set by a request to end. `at_once` is set by the second one: do not finish what is in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = threading.Event()

    def ask(self) -> None:
        """Ask for the end once more."""
        if self.is_set():
            self.at_once.set()
        self.set()


def leave_on_signals() -> None:
    """Until `stop_on_signals` is called, SIGINT and SIGTERM end the process at once, cleanly. Call in the main thread.

    SIGHUP does that only if the terminal is gone: otherwise it asks to read files that are read anyway.
    """
    terminal = Terminal()

    def leave(number: int, _frame: object) -> None:
        if number != signal.SIGHUP or terminal.gone():
            sys.exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    _unless_ignored(leave)


def _unless_ignored(handler: Callable[[int, object], None]) -> None:
    # `nohup` sets SIGHUP to be ignored; that is kept.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)


def stop_on_signals(reload: Callable[[], object] | None = None) -> Stop:
    """An event that SIGINT, SIGTERM and SIGHUP set. Call in the main thread.

    With `reload`, SIGHUP calls that instead, unless the terminal is gone.
    """
    stop = Stop()
    terminal = Terminal()

    def handle_hang_up(number: int, frame: object) -> None:
        if reload is None or terminal.gone():
            handle(number, frame)
        else:
            reload()

    def handle(_signal: int, _frame: object) -> None:
        stop.ask()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    _unless_ignored(handle_hang_up)
    return stop
