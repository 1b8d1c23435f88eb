"""The event-loop server of the API: uvicorn in processes of its own, which this main process starts and replaces.

Guaranteed here:

* A taken port, a wrong configuration or an unusable store is one message from the main process, before anything starts.
* No child outlives the main process, also when that is killed with SIGKILL.
* SIGTERM and SIGINT drain (`front.server`), then exit 0; a child that does not end is killed in time. A second
  signal ends everything at once.
* A child that dies is replaced; children that keep dying end the server with status 1.
* No access log: request paths may hold phone numbers.
"""

import os
import socket
from dataclasses import dataclass

from ..config import Settings
from . import building, front_process, metrics, metrics_server, ports
from .children import Children
from .signals import leave_on_signals, stop_on_signals

METRICS_PORT = 9464
"""Where metrics are served unless told otherwise."""

DEFAULT_THREADS = 4
"""Requests of one process that Flask may work on at once. More would only interrupt one another."""


@dataclass(frozen=True, slots=True)
class Options:
    """Where and how to serve. Port 0 takes a free one; `metrics_port` None takes the usual one if it is free."""

    host: str
    port: int
    workers: int
    threads: int
    drain_s: float
    metrics_host: str
    metrics_port: int | None


def serve(settings: Settings, options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises ServiceError with one sentence if it cannot start."""
    # Until the children run, a request to stop is a clean end as well.
    leave_on_signals()
    # Before anything is built. It listens only when requests can be answered.
    host, port = ports.usable_address(options.host, options.port)
    telling = _listening_for_metrics(options)
    with metrics.metrics_directory(settings) as directory:
        building.import_for_children(*front_process.NEEDS)
        building.try_to_build()
        metrics.forget_ended(directory)
        with ports.listen(host, port, front_process.BACKLOG) as listening:
            listening.setblocking(False)
            connections = building.process_context().RawArray("i", options.workers)
            serving = front_process.Serving(
                os.getpid(), listening, telling, options.threads, options.drain_s, connections
            )
            within_s = options.drain_s + front_process.END_S
            children = Children(front_process.run, (serving,), options.workers, within_s, directory)
            # SIGHUP asks to read the keyring again, which the children do by themselves. At the end the last child that
            # closes the socket ends the listening: connections that came meanwhile were accepted.
            children.run(stop_on_signals(reload=lambda: None), listening.close)


def _listening_for_metrics(options: Options) -> socket.socket | None:
    """Where scrapers ask; None if no port was named and the usual one is taken, as beside another API."""
    if options.metrics_port is not None:
        return metrics_server.listen(options.metrics_host, options.metrics_port)
    try:
        return metrics_server.listen(options.metrics_host, METRICS_PORT)
    except ports.PortTaken:
        return None
