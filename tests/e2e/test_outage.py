"""The store hangs under a running service: refused at once, alive all the while, well again by itself."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from ..conftest import Dev
from .processes import descendants
from .service_client import ServiceClient, within

PROMPT_S = 4.0
"""A second as promised, and some for a busy machine. If each waited for the store, four at a time, the last of 40 would
have its answer after 4.5 s."""

TIMEOUT_S = 0.45
"""Of a call of the store."""


@contextmanager
def hanging(shared_dev: Dev) -> Iterator[None]:
    """The store stops where it is for as long as this lasts."""
    (pid,) = [pid for pid, line in descendants(shared_dev.process.pid).items() if "store.sock" in line]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def unless_unavailable(answer: httpx.Response) -> httpx.Response | None:
    """The answer if it is another one than 503."""
    return answer if answer.status_code != 503 else None


def test_a_store_that_hangs_delays_no_other_request(service_client: ServiceClient, shared_dev: Dev) -> None:
    """40 requests at once: each a 503 with Retry-After within about a second, and /healthz answers beside them."""
    number, spared = service_client.number(), service_client.number()
    verification, untouched = service_client.started(number), service_client.started(spared)
    code = service_client.code(number)
    numbers = [service_client.number() for _ in range(40)]

    def ask(turn: int) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        answer = service_client.check(verification, code) if turn % 2 else service_client.start(numbers[turn])
        return answer, time.monotonic() - began

    with hanging(shared_dev), ThreadPoolExecutor(40) as pool:
        asked = pool.map(ask, range(40))
        time.sleep(0.1)
        began = time.monotonic()
        assert httpx.get(f"{service_client.url}/healthz", timeout=30).status_code == 200
        assert time.monotonic() - began < PROMPT_S
        for answer, took in asked:
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
            assert took < PROMPT_S
        # A caller who goes on asking gets the same at once.
        again = [ask(1) for _ in range(10)]
        assert [answer.status_code for answer, _ in again] == [503] * 10
        # Now and then one waits for the store to see whether it is back.
        assert sorted(took for _, took in again)[3] < TIMEOUT_S
        within(
            60, lambda: httpx.get(f"{service_client.url}/readyz", timeout=30).status_code == 503, "the end of readiness"
        )
    within(60, lambda: httpx.get(f"{service_client.url}/readyz", timeout=30).status_code == 200, "readiness")
    spared_code = service_client.code(spared)
    # Each part of the process finds out for itself that the store is back.
    first = within(
        60, lambda: unless_unavailable(service_client.check(untouched, spared_code)), "an answer that is no 503"
    )
    assert first.status_code == 200
    # A check that the store had already taken in may have used the code up: then it was for nobody's approval.
    last = service_client.check(verification, code)
    assert last.status_code == 200 or last.json()["code"] == "already_approved"
    assert service_client.check(verification, code).json()["code"] == "already_approved"
    for other in numbers[::2]:
        # Whatever the hanging store had already taken in: one SMS at the most.
        service_client.start(other)
        service_client.code(other)
        assert len(service_client.inbox(other)) == 1
