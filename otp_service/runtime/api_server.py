"""The production server of the API: granian, with its gaps closed.

Guaranteed here, each by a test:

* A taken port, a wrong configuration or an unusable store is one message from the main process, before anything starts.
* No child outlives the main process, also when that is killed with SIGKILL.
* SIGTERM and SIGINT answer the requests in flight, then exit 0; a child that does not end is killed in time.
* A child that dies is replaced; children that keep dying end the server with status 1.
* No access log: request paths may hold phone numbers. HTTP/1 only, no websockets, a time limit on slow headers.
* Requests that wait, for a change or for their own body, do not block requests that work (`web.limits`). Requests that
  wait for a change are answered at once when the process is to end.

Not here: more slow request *bodies* than there are slots for them. They are refused, and good ones among them, so a
public service runs behind a reverse proxy that buffers requests, as any such server does.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from .. import config
from ..config import Settings
from ..domain.errors import ServiceError
from ..web.limits import WORKING, threads_needed
from . import api_process, metrics, parent, ports
from .signals import Terminal

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext

DEFAULT_THREADS = WORKING
KILL_TIMEOUT_S = 3
HEADER_TIMEOUT_MS = 10_000
HEADER_BYTES_MAX = 64 * 1024


class CannotServe(ServiceError):
    """The application could not be built; the detail is that of the reason."""

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
    host, port = ports.usable_address(host, port)
    with metrics.metrics_directory(settings) as directory:
        try_to_build()
        metrics.forget_ended(directory)
        _run(host, port, workers, threads)


def try_to_build() -> None:
    """Build the application once in a process of its own: connections and threads made here must not be inherited."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = process_context().Process(target=_build_and_report, args=(os.getpid(), sender))
    process.start()
    sender.close()
    try:
        failure: str | None = receiver.recv()
    except EOFError:
        failure = "the application could not be built; see the lines above"
    except BaseException:
        # A request to stop: nobody waits for the answer.
        process.kill()
        raise
    finally:
        receiver.close()
        process.join()
    if failure is not None:
        raise CannotServe(failure)


def _build_and_report(main_pid: int, sender: Connection) -> None:
    # If the main process is killed, another one removes the metrics directory that is used here.
    parent.follow_parent(main_pid, signal.SIGKILL)
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


def process_context() -> "ForkContext | SpawnContext":
    """How processes of the server are started: the choice granian makes too."""
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
    server.on_startup(partial(_end_with_terminal, Terminal(), server.signal_handler_interrupt))
    server.serve(target_loader=partial(api_process.load, os.getpid(), threads), wrap_loader=False)


def _end_with_terminal(terminal: Terminal, interrupt: Callable[..., Any]) -> None:
    # granian would answer SIGHUP with new children, and so outlive the terminal it was started from.
    def handle(*args: Any) -> None:
        # Without a lost terminal, SIGHUP asks to read the keyring again, which the children do by themselves.
        if terminal.gone():
            interrupt(*args)

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handle)


_LOGGING = {
    "formatters": {"json": {"()": "otp_service.telemetry.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
}
