"""One process of the API server: builds the application and follows the server's main process.

Runs in a child of the production server; `api_server` is the main process.
"""

import gc
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from .. import config
from ..domain.errors import ConfigError, StoreUnavailable
from . import parent

if TYPE_CHECKING:
    from flask import Flask

# A full collection over the objects of start-up stops a process for tens of milliseconds. They are frozen, and what
# requests allocate is collected in larger portions.
_GC_THRESHOLDS = (20_000, 25, 25)

T = TypeVar("T")
_log = logging.getLogger("otp.serve")


def load(main_pid: int, threads: int, *_: object) -> "Flask":
    """The application of one process, with `threads` requests at work at once."""
    # A forked worker has its parent's handlers, which would swallow a request to end until it serves.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # The keyring is read again without it; the main process reacts to the end of a terminal.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # SIGKILL at once: granian's handler of SIGTERM can wait forever while it holds the GIL, and then no thread of ours
    # could end this process. If the main process was killed, there are no requests left to finish.
    parent.follow_parent(main_pid, signal.SIGKILL)
    from .. import telemetry  # noqa: PLC0415 - after the metrics directory is set
    from ..bootstrap import build_web  # noqa: PLC0415

    settings = config.load(config.environment())
    telemetry.configure_logging(settings.log_level)
    application = when_it_can_be_built(partial(build_web, settings, working=threads, pause=_EndOfProcess().pause))
    keep_start_up_out_of_collections()
    return application


def keep_start_up_out_of_collections() -> None:
    """Freeze what start-up made, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def when_it_can_be_built(build: Callable[[], T]) -> T:
    """Build as soon as the store and the files allow it."""
    # The main process has built the application once. If that fails now, the store is down or a file is being written,
    # so this process waits. If it ended, the server would see a crash loop and end too.
    while True:
        try:
            return build()
        except (StoreUnavailable, ConfigError) as error:
            _log.warning("a new API process waits until it can be built", extra={"reason": error.detail})
            time.sleep(0.5)


class _EndOfProcess:
    """Pauses that end when the process is asked to end. Create it in the main thread, before granian takes the signals:
    the interpreter writes each signal's number into our pipe, whichever handler is set.
    """

    def __init__(self) -> None:
        self._signals, written = os.pipe()
        for descriptor in (self._signals, written):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        self._ended = False

    def pause(self, seconds: float) -> bool:
        """Wait, or until the process is asked to end; returns whether it is. For one thread at a time."""
        if not self._ended and select.select([self._signals], [], [], seconds)[0]:
            self._ended = not {signal.SIGINT, signal.SIGTERM}.isdisjoint(os.read(self._signals, 1024))
        return self._ended
