"""The processes that a main process starts, replaces and ends: those of the API, and those of a worker.

* A child that dies is replaced; children that keep dying end the main process with status 1.
* Told to end, the main process tells them, and kills what has not ended in time. A second signal kills them at once.
"""

import multiprocessing.connection
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from . import building, metrics
from .signals import Stop

RESPAWN_S = 0.1
MANY_ENDS = 10
"""So many ends of children within `ENDS_WITHIN_S` end the main process."""

ENDS_WITHIN_S = 10.0
_LOOK_S = 0.25


class Children:
    """`count` processes that run `target` with `args` and their number, from 0. Each may take `within_s` to end.

    A child that takes the place of another has its number. `directory`: where they keep their metrics.
    """

    def __init__(
        self, target: Callable[..., None], args: Sequence[Any], count: int, within_s: float, directory: Path
    ) -> None:
        self._target = target
        self._args = tuple(args)
        self._count = count
        self._within_s = within_s
        self._directory = directory
        self._context = building.process_context()
        self._ends: list[float] = []
        self._children: dict[int, BaseProcess] = {}

    def run(self, stop: Stop, before_end: Callable[[], None] = lambda: None) -> None:
        """Keep them running until `stop`. Raises CannotServe if they keep ending."""
        self._children = {number: self._start(number) for number in range(self._count)}
        try:
            while not stop.wait(RESPAWN_S):
                self._replace_ended()
                multiprocessing.connection.wait([child.sentinel for child in self._children.values()], _LOOK_S)
        finally:
            before_end()
            children = list(self._children.values())
            _end(children, self._within_s, stop.at_once)
            self._forget(children)

    def _start(self, number: int) -> BaseProcess:
        child: Any = self._context.Process(target=self._target, args=(*self._args, number))
        child.start()
        started: BaseProcess = child
        return started

    def _replace_ended(self) -> None:
        ended = [number for number, child in self._children.items() if not child.is_alive()]
        now = time.monotonic()
        self._ends += [now] * len(ended)
        self._ends = [at for at in self._ends if now - at < ENDS_WITHIN_S]
        self._forget([self._children.pop(number) for number in ended])
        if len(self._ends) >= MANY_ENDS:
            raise building.CannotServe("the processes of the service keep ending; see the lines above")
        self._children |= {number: self._start(number) for number in ended}

    def _forget(self, ended: Sequence[BaseProcess]) -> None:
        for child in ended:
            metrics.forget_work_of(child.pid, self._directory)


def _end(children: Sequence[BaseProcess], within_s: float, at_once: threading.Event) -> None:
    deadline = time.monotonic() + within_s
    alive = list(children)
    while alive and time.monotonic() < deadline and not at_once.is_set():
        for child in alive:
            # Again and again: one that has just been started may have missed it.
            child.terminate()
        multiprocessing.connection.wait([child.sentinel for child in alive], _LOOK_S)
        alive = [child for child in alive if child.is_alive()]
    for child in children:
        child.kill()
        child.join()
