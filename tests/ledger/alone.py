"""The process that exports and does nothing else, as threads of the tests' own process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from otp_service.bootstrap.ledger import run_exporter
from otp_service.config import Settings

from ..conftest import wait_until

ENDS_S = 120.0


@contextmanager
def exporting_alone(settings: Settings) -> Iterator[None]:
    """It works until the end of the block, and nothing that it began outlives it: what signs and brings checkpoints has
    threads of its own, for which the service does not wait, and which would tell another test what failed here."""
    before, stop = set(threading.enumerate()), threading.Event()
    threading.Thread(target=run_exporter, args=(settings, stop)).start()
    try:
        yield
    finally:
        stop.set()
        wait_until(lambda: set(threading.enumerate()) <= before, ENDS_S, "the end of the exporter's threads")
