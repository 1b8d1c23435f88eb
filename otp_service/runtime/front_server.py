"""The event-loop server of the API: uvicorn in processes of its own, which this main process starts and replaces.

Guaranteed here:

* A taken port, a wrong configuration or an unusable store is one message from the main process, before anything starts.
* No child outlives the main process, also when that is killed with SIGKILL.
* SIGTERM and SIGINT drain (`front.server`), then exit 0; a child that does not end is killed in time. A second
  signal ends everything at once.
* A child that dies is replaced; children that keep dying end the server with status 1.
* No access log: request paths may hold phone numbers.
"""

import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from ..config import Settings
from . import building, front_process, metrics, ports
from .signals import stop_on_signals

DEFAULT_THREADS = 4
"""Requests of one process that Flask may work on at once. More would only interrupt one another."""

RESPAWN_S = 0.1
MANY_ENDS = 10
"""So many ends of children within `ENDS_WITHIN_S` end the server."""

ENDS_WITHIN_S = 10.0
_LOOK_S = 0.25


def default_workers() -> int:
    """One process for each core we may use, at most eight: beyond that the store is the limit."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable))


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
            Children(listening, workers, threads, drain_s).run()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(front_process.BACKLOG)
    listening.setblocking(False)
    return listening


class Children:
    """The processes that serve on one socket."""

    def __init__(self, listening: socket.socket, workers: int, threads: int, drain_s: float) -> None:
        self._listening = listening
        self._workers = workers
        self._threads = threads
        self._drain_s = drain_s
        self._context = building.process_context()
        self._ends: list[float] = []
        self._children: list[BaseProcess] = []

    def run(self) -> None:
        """Keep them running until a signal asks to end. Raises CannotServe if they keep ending."""
        # SIGHUP asks to read the keyring again, which the children do by themselves.
        stop = stop_on_signals(reload=lambda: None)
        self._children = [self._start() for _ in range(self._workers)]
        try:
            while not stop.wait(RESPAWN_S):
                self._replace_ended()
                multiprocessing.connection.wait([child.sentinel for child in self._children], _LOOK_S)
        finally:
            # The last child that closes it ends the listening: connections that came meanwhile were accepted.
            self._listening.close()
            within_s = self._drain_s + front_process.END_S
            _end(self._children, within_s, stop.at_once)

    def _start(self) -> BaseProcess:
        arguments = (os.getpid(), self._listening, self._threads, self._drain_s)
        child: Any = self._context.Process(target=front_process.run, args=arguments)
        child.start()
        started: BaseProcess = child
        return started

    def _replace_ended(self) -> None:
        alive = [child for child in self._children if child.is_alive()]
        now = time.monotonic()
        self._ends += [now] * (len(self._children) - len(alive))
        self._ends = [at for at in self._ends if now - at < ENDS_WITHIN_S]
        self._children = alive
        if len(self._ends) >= MANY_ENDS:
            raise building.CannotServe("the processes of the API keep ending; see the lines above")
        self._children += [self._start() for _ in range(self._workers - len(alive))]


def _end(children: Sequence[BaseProcess], within_s: float, at_once: threading.Event) -> None:
    deadline = time.monotonic() + within_s
    for child in children:
        child.terminate()
    while time.monotonic() < deadline and not at_once.is_set():
        alive = [child.sentinel for child in children if child.is_alive()]
        if not alive:
            break
        multiprocessing.connection.wait(alive, _LOOK_S)
    for child in children:
        child.kill()
        child.join()
