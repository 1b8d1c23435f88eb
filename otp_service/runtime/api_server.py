"""The production server of the API: granian, with the holes closed that it leaves.

Guaranteed here, each by a test:

* A taken port, a wrong configuration or an unusable store is one sentence from the parent, before anything starts.
* No worker outlives the main process, also when that is killed with SIGKILL.
* SIGTERM and SIGINT answer the requests in flight, then exit 0; a worker that does not end is killed in time.
* A worker that dies is replaced; workers that keep dying end the server with status 1.
* No access log: request paths may hold phone numbers. HTTP/1 only, no websockets, a limit on slow headers.
* Requests that wait, for news or for their own body, hold up none that work (`web.gate`); those that wait for news are
  answered at once when the process is to end.

Not here: more slow request *bodies* than there are places for them. They are refused, and good ones among them, so a
public service stands behind a reverse proxy that buffers requests, as any such server does.
"""

import contextlib
import gc
import logging
import multiprocessing
import os
import re
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config
from ..config import Settings
from ..domain.errors import ConfigError, ServiceError, StoreUnavailable
from ..web.limits import WORKING, threads_needed
from . import processes

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext

    from flask import Flask

DEFAULT_THREADS = WORKING
KILL_TIMEOUT_S = 3
HEADER_TIMEOUT_MS = 10_000
HEADER_BYTES_MAX = 64 * 1024
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_METRICS_PREFIX = "otp-metrics-"

# A full collection over the objects of start-up stops a worker for tens of milliseconds; they are frozen out of it,
# and what requests allocate is collected in larger portions.
_GC_THRESHOLDS = (20_000, 25, 25)


_log = logging.getLogger("otp.serve")


class CannotServe(ServiceError):
    """The application could not be built; the sentence is that of the reason."""

    code = "cannot_serve"


def default_workers() -> int:
    """One worker for each core we may use, at most eight: beyond that the store is the limit."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable))


def serve(settings: Settings, host: str, port: int, workers: int, threads: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises ServiceError with one sentence if it cannot start."""
    # Until granian takes the signals over, a request to stop is a clean end as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    host, port = processes.usable_address(host, port)
    with metrics_directory(settings) as directory:
        _try_to_build()
        _forget_the_dead(directory)
        _run(host, port, workers, threads)


@contextlib.contextmanager
def metrics_directory(settings: Settings) -> Iterator[Path]:
    """Where the processes put their counters so that each can answer for all; private and temporary unless set.

    Enter it before anything imports `prometheus_client`, which looks at the environment once.
    """
    _sweep(Path(tempfile.gettempdir()))
    directory = settings.metrics_dir or Path(tempfile.mkdtemp(prefix=f"{_METRICS_PREFIX}{os.getpid()}-"))
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"OTP_METRICS_DIR: cannot use {directory}: {error.strerror}") from error
    os.environ[METRICS_VARIABLE] = str(directory)
    _forget_the_dead(directory)
    try:
        yield directory
    finally:
        if settings.metrics_dir is None:
            shutil.rmtree(directory, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove what processes that were killed left behind; what is another user's stays."""
    for path in place.glob(f"{_METRICS_PREFIX}*-*"):
        pid = path.name.removeprefix(_METRICS_PREFIX).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _forget_the_dead(directory: Path) -> None:
    # The directory may be shared with a worker that is alive: only files of processes that are no more may go.
    for path in directory.glob("*.db"):
        match = re.search(r"_([0-9]+)\.db$", path.name)
        if match is not None and not _alive(int(match[1])):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _try_to_build() -> None:
    """Build the application once in a process of its own: connections and threads made here must not be inherited."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = _context().Process(target=_build_and_tell, args=(sender,))
    process.start()
    sender.close()
    try:
        sentence: str | None = receiver.recv()
    except EOFError:
        sentence = "the application could not be built; the lines above say where"
    finally:
        receiver.close()
        process.join()
    if sentence is not None:
        raise CannotServe(sentence)


def _build_and_tell(sender: Connection) -> None:
    from ..bootstrap import build_web  # noqa: PLC0415 - after the metrics directory is set

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        build_web(config.load(config.environment()))
    except ServiceError as error:
        sender.send(error.detail)
    else:
        sender.send(None)
    # Threads that the application may have started have nothing to finish.
    os._exit(0)


def _context() -> "ForkContext | SpawnContext":
    # The choice granian makes too.
    if multiprocessing.get_start_method() == "fork":
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def _run(host: str, port: int, workers: int, threads: int) -> None:
    from granian import Granian  # noqa: PLC0415 - only this command needs it
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    server = Granian(
        "otp-service",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads_needed(threads),
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=HEADER_BYTES_MAX),
        log_level=LogLevels.info,
        log_dictconfig=_LOGGING,
        log_access=False,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=KILL_TIMEOUT_S,
    )
    server.on_startup(partial(_hang_up_ends, processes.Terminal(), server.signal_handler_interrupt))
    server.serve(target_loader=partial(_load, os.getpid(), threads), wrap_loader=False)


def _hang_up_ends(terminal: processes.Terminal, interrupt: Callable[..., Any]) -> None:
    # granian would answer SIGHUP with new workers, and so outlive the terminal it was started from.
    def handle(*args: Any) -> None:
        # Otherwise it asks us to read the keyring again, which the workers do by themselves.
        if terminal.gone():
            interrupt(*args)

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handle)


def _load(parent: int, threads: int, *_: object) -> "Flask":
    """Runs in each worker: follow the main process, build the application, keep start-up out of the collector."""
    # A forked worker has its parent's handlers, which would swallow a request to end until it serves.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # The keyring is read again by itself; the end of a terminal is the main process's affair.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # SIGKILL and nothing gentler: granian's handler of SIGTERM can wait for ever with the GIL in its hands, and then no
    # thread of ours could end the orphan. A killed main process has no requests left to be gentle with.
    processes.follow_parent(parent, signal.SIGKILL)
    from .. import telemetry  # noqa: PLC0415 - after the metrics directory is set
    from ..bootstrap import build_web  # noqa: PLC0415

    settings = config.load(config.environment())
    telemetry.configure_logging(settings.log_level)
    application = _when_it_can_be_built(partial(build_web, settings, working=threads, pause=_Ending().pause))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    return application


def _when_it_can_be_built(build: "Callable[[], Flask]") -> "Flask":
    # The main process has tried it all, so a worker that is replaced while the store is away, or while somebody writes
    # a file, waits for it. One that died instead would be taken for a crash loop, and end the server.
    while True:
        try:
            return build()
        except (StoreUnavailable, ConfigError) as error:
            _log.warning("a new worker waits until it can be built", extra={"reason": error.detail})
            time.sleep(0.5)


class _Ending:
    """Notices a request to end in the middle of a pause. Make it in the main thread, before granian takes the signals:
    the interpreter itself writes down each signal's number, whoever handles it.
    """

    def __init__(self) -> None:
        self._signals, noted = os.pipe()
        for end in (self._signals, noted):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
        self._ends = False

    def pause(self, seconds: float) -> bool:
        """Wait so long, or until the process is to end; whether it is. For one thread at a time."""
        if not self._ends and select.select([self._signals], [], [], seconds)[0]:
            self._ends = not {signal.SIGINT, signal.SIGTERM}.isdisjoint(os.read(self._signals, 1024))
        return self._ends


_LOGGING = {
    "formatters": {"json": {"()": "otp_service.telemetry.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
}
