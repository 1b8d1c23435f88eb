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
import signal
import socket
import sys

from ..config import Settings
from . import building, front_process, metrics, ports
from .children import Children
from .signals import stop_on_signals

DEFAULT_THREADS = 4
"""Requests of one process that Flask may work on at once. More would only interrupt one another."""


def serve(settings: Settings, host: str, port: int, workers: int, threads: int, *, drain_s: float) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises ServiceError with one sentence if it cannot start."""
    # Until the children run, a request to stop is a clean end as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    host, port = ports.usable_address(host, port)
    with metrics.metrics_directory(settings) as directory:
        building.try_to_build()
        metrics.forget_ended(directory)
        with _listening(host, port) as listening:
            args = (os.getpid(), listening, threads, drain_s)
            children = Children(front_process.run, args, workers, drain_s + front_process.END_S)
            # SIGHUP asks to read the keyring again, which the children do by themselves. At the end the last child that
            # closes the socket ends the listening: connections that came meanwhile were accepted.
            children.run(stop_on_signals(reload=lambda: None), listening.close)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(front_process.BACKLOG)
    listening.setblocking(False)
    return listening
