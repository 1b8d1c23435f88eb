"""Building the API or the worker of a process: tried once by the main process, then done in each of its children."""

import contextlib
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, TypeVar

from .. import config
from ..domain.errors import ConfigError, ServiceError, StoreUnavailable
from . import parent

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext

# A full collection over the objects of start-up stops a process for tens of milliseconds. They are frozen, and what
# requests allocate is collected in larger portions.
_GC_THRESHOLDS = (20_000, 25, 25)

T = TypeVar("T")
_log = logging.getLogger("otp.serve")


class CannotServe(ServiceError):
    """The service could not be built or its processes keep ending; the detail is that of the reason."""

    code = "cannot_serve"


def process_context() -> "ForkContext | SpawnContext":
    """How processes of the server are started: forked where that is Python's own choice."""
    if multiprocessing.get_start_method() == "fork":
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def import_for_children(*modules: str) -> None:
    """Import here, once, what every child needs. A forked child shares it: it starts sooner and takes less memory.

    Call it after the metrics directory is set. A request to stop waits until everything is imported.
    """
    if process_context().get_start_method() == "fork":
        import_quickly(*modules)


def import_quickly(*modules: str) -> None:
    """Import without looking for garbage, which would take a fifth of the time and find none. Otherwise as above."""
    gc.disable()
    try:
        with _signals_wait():
            for module in modules:
                importlib.import_module(module)
        # A collection in a child would write to what it shares.
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    # Python ignores an exception that a signal's handler raises in some parts of an import.
    heard: list[int] = []
    before = {
        number: signal.signal(number, lambda signal_number, _: heard.append(signal_number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for signal_number in heard:
            signal.raise_signal(signal_number)


def _build_web() -> None:
    from ..bootstrap import build_web  # noqa: PLC0415 - after the metrics directory is set

    build_web(config.load(config.environment()))


def try_to_build(build: Callable[[], object] = _build_web) -> None:
    """Build the application once in a process of its own: connections and threads made here must not be inherited.

    Raises CannotServe with the reason.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = process_context().Process(target=_build_and_report, args=(os.getpid(), sender, build))
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


def _build_and_report(main_pid: int, sender: Connection, build: Callable[[], object]) -> None:
    # If the main process is killed, another one removes the metrics directory that is used here.
    parent.follow_parent(main_pid, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        build()
    except ServiceError as error:
        sender.send(error.detail)
    else:
        sender.send(None)
    # Threads that the application may have started have nothing to finish.
    os._exit(0)


def default_processes() -> int:
    """One process for each core we may use, at most eight: beyond that the store is the limit."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable))


def when_it_can_be_built(build: Callable[[], T]) -> T:
    """Build as soon as the store and the files allow it.

    For a process whose application was built once before. If that fails now, the store is down or a file is being
    written. If the process ended, the main process would see children that keep ending, and end too.
    """
    return _when_possible(build, (StoreUnavailable, ConfigError))


def when_the_store_answers(build: Callable[[], T]) -> T:
    """Build as soon as the store answers. Raises what is wrong with the configuration."""
    return _when_possible(build, (StoreUnavailable,))


def _when_possible(build: Callable[[], T], passing: tuple[type[ServiceError], ...]) -> T:
    while True:
        try:
            return build()
        except passing as error:
            _log.warning("a new process waits until it can be built", extra={"reason": error.detail})
            time.sleep(0.5)


def keep_start_up_out_of_collections() -> None:
    """Freeze what start-up made, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
