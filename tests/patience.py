"""More time for a store that works, in tests that are not about its time-outs.

The service gives a server 450 ms, and a sentinel 150. On a busy machine a server that works, or the thread of a test
that talks to it, may need longer for the first hundred things at once, and no test can tell that from a fault. What a
store costs that hangs is tried with the time-outs of the service.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otp_service.storage import connect, readiness, scripts
from otp_service.storage.pipelined import connection, link


def be_patient(patch: pytest.MonkeyPatch) -> None:
    """Let connections that are opened from now on wait for long, and replicas have a second."""
    for module in (connect, readiness, link, connection):
        patch.setattr(module, "TIMEOUT_S", 30.0)
    patch.setattr(connect, "SENTINEL_TIMEOUT_S", 30.0)
    patch.setattr(scripts, "WAIT_MS", 1_000)


@contextmanager
def patience() -> Iterator[None]:
    """The same until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        be_patient(patch)
        yield
