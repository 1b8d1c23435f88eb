"""Delivery workers: one in the process of the command, or several processes that share its metrics."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from .. import config
from ..config import Settings
from . import building, event_loop, metrics, metrics_server, parent
from .children import Children
from .signals import Stop

if TYPE_CHECKING:
    from .delivery_worker import DeliveryWorker

NEEDS = "otp_service.bootstrap.worker"
"""The module that a worker is built by. It may only be imported after the metrics directory is set."""

LAST_LINES_S = 0.5
"""For the log to be written, at the end."""

END_S = 20.0
"""The longest that a worker takes to end; one that takes longer is killed."""


def run(settings: Settings, stop: Stop, processes: int, concurrency: int, serve_at: tuple[str, int | None]) -> None:
    """Work until `stop`. `concurrency`: sends at once in each process; `serve_at`: where metrics are served, if at all.

    Raises ServiceError with one sentence if it cannot start.
    """
    with metrics.metrics_directory(settings) as directory:
        if processes == 1:
            building.import_quickly(NEEDS)
            with metrics_server.serving_metrics(*serve_at, _published(settings)), _log_in_background(settings):
                worker = _built(settings, concurrency)
                prepare_for_the_loop()
                worker.run(stop, stop.at_once)
            return
        building.import_for_children(NEEDS)
        building.try_to_build(_try)
        metrics.forget_ended(directory)
        children = Children(_child, (os.getpid(), concurrency), processes, END_S, directory)
        with metrics_server.serving_metrics(*serve_at, _published(settings)):
            children.run(stop)


def _built(settings: Settings, concurrency: int, *, exports: bool = True) -> "DeliveryWorker":
    from ..bootstrap import build_worker  # noqa: PLC0415 - after the metrics directory is set

    return build_worker(settings, concurrency=concurrency, exports=exports)


def _published(settings: Settings) -> metrics_server.Pages:
    from ..bootstrap.signed_log import published  # noqa: PLC0415 - after the metrics directory is set

    return published(settings)


@contextlib.contextmanager
def _log_in_background(settings: Settings) -> Iterator[None]:
    """Write log lines in a thread: no send waits for whoever reads them, and many lines are written at once."""
    from .. import log_writer, telemetry  # noqa: PLC0415 - after the metrics directory is set

    log = log_writer.to_stderr(telemetry.LOG_DROPPED.inc)
    telemetry.configure_logging(settings.log_level, handler=log)
    telemetry.look_for_no_places()
    try:
        yield
    finally:
        if not log.wait_until_written(LAST_LINES_S):
            # Nobody reads the log; writing it at the end of the interpreter would wait for that.
            os._exit(1 if sys.exc_info()[0] else 0)


def prepare_for_the_loop() -> None:
    """A full collection, or another thread that works, would make every send of this process wait."""
    building.keep_start_up_out_of_collections()
    event_loop.come_before_threads()


def _try() -> None:
    settings = config.load(config.environment())
    with _log_in_background(settings):
        _built(settings, concurrency=1)


def _child(main_pid: int, concurrency: int, place: int) -> None:
    # The main process says what is to be done. Until there is a worker, a request to end is the end.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent.follow_parent(main_pid)
    settings = config.load(config.environment())
    # From the first line: a worker that waits for the store says so, perhaps to nobody who reads.
    with _log_in_background(settings):
        worker = building.when_it_can_be_built(partial(_built, settings, concurrency, exports=place == 0))
        prepare_for_the_loop()
        stop = Stop()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        worker.run(stop)
    leave()


def leave() -> None:
    """End the process even if sends still wait for the carrier: another worker takes them over."""
    sys.stdout.flush()
    if any(thread.is_alive() and not thread.daemon for thread in threading.enumerate()[1:]):
        os._exit(0)
