"""The deliveries that this process has taken and not finished: each runs once, and no more than there is room for."""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial

from .. import telemetry
from ..domain.errors import StoreUnavailable
from ..domain.outbox import Job
from .sends import Sends

_log = logging.getLogger("otp.worker")


class InFlight:
    """Sends each job in `sends`, which has room for `concurrency` at once. Safe for many threads.

    Jobs that were taken and have no room yet wait there. `failed` is called with the shard of a job that
    did not come to its end.
    """

    def __init__(
        self, send: Callable[[Job], None], sends: Sends, concurrency: int, failed: Callable[[int], None]
    ) -> None:
        self._send = send
        self._sends = sends
        self._concurrency = concurrency
        self._failed = failed
        self._jobs: dict[tuple[int, str], Job] = {}
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    def __len__(self) -> int:
        return len(self._jobs)

    def jobs(self) -> list[Job]:
        """Those in flight now."""
        with self._lock:
            return list(self._jobs.values())

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until there is room; False if there was none in time."""
        with self._freed:
            return self._freed.wait_for(lambda: len(self._jobs) < self._concurrency, timeout=timeout_s)

    def start(self, jobs: Sequence[Job]) -> None:
        """Run these jobs, except those that are in flight already."""
        for job in jobs:
            with self._lock:
                if (job.shard, job.entry) in self._jobs:
                    continue
                self._jobs[job.shard, job.entry] = job
            self._sends.submit(partial(self._run, job), partial(self._finished, job))
        telemetry.WORKER_BUSY.set(len(self._jobs))

    def start_no_more(self) -> None:
        """Forget what waits for room; the caller gives it to others. What runs goes on."""
        self._sends.start_no_more()

    def _finished(self, job: Job) -> None:
        with self._freed:
            self._jobs.pop((job.shard, job.entry), None)
            self._freed.notify_all()
        telemetry.WORKER_BUSY.set(len(self._jobs))

    def _run(self, job: Job) -> None:
        try:
            self._send(job)
        except StoreUnavailable:
            # The entry stays ours and is taken again soon; if this process dies, another takes it over.
            self._failed(job.shard)
            _log.warning("the store does not answer", extra={"delivery_id": job.reference.delivery_id(job.ordinal)})
        except Exception:  # noqa: BLE001 - one bad delivery must not stop the others
            self._failed(job.shard)
            _log.exception("a delivery failed", extra={"delivery_id": job.reference.delivery_id(job.ordinal)})
