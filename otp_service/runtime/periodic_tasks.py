"""Tasks of the worker that are repeated and are no deliveries, e.g. reading the carrier's list of opt-outs.

Each has a thread of its own, so no code waits for a slow one. Nobody waits for these threads at the end: what was cut
off is continued by another worker.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ..domain.errors import NotReady, ServiceError

_log = logging.getLogger("otp.worker")


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do at once and then every `period_s` seconds. `do` gets the event of the worker's end."""

    name: str
    period_s: float
    do: Callable[[threading.Event], object]


def start(task: PeriodicTask, stop: threading.Event, end: Callable[[Exception], None]) -> None:
    """Start the thread of a task. `end` ends the worker with an error."""
    threading.Thread(target=_repeat, args=(task, stop, end), name=task.name, daemon=True).start()


def _repeat(task: PeriodicTask, stop: threading.Event, end: Callable[[Exception], None]) -> None:
    while not stop.is_set():
        try:
            task.do(stop)
        except NotReady as error:
            # The store belongs to another keyring now: what we took from it would be lost.
            end(error)
        except ServiceError as error:
            _log.warning("a periodic task could not be done", extra={"task": task.name, "reason": error.detail})
        except Exception:  # noqa: BLE001 - a periodic task must never stop the deliveries
            if not stop.is_set():  # at the end the carrier's client is closed while it is in use
                _log.exception("a periodic task failed", extra={"task": task.name})
        stop.wait(task.period_s)
