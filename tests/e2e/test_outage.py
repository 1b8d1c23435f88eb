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
from .stage import Stage, within

PROMPT_S = 1.5
"""A second as promised, and some for a busy machine."""


@contextmanager
def hanging(house: Dev) -> Iterator[None]:
    """The store stops where it is for as long as this lasts."""
    (pid,) = [pid for pid, line in descendants(house.process.pid).items() if "store.sock" in line]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_store_that_hangs_holds_nobody_up(stage: Stage, house: Dev) -> None:
    """40 requests at once: each a 503 with Retry-After within about a second, and /healthz answers beside them."""
    number, spared = stage.number(), stage.number()
    verification, untouched = stage.started(number), stage.started(spared)
    code = stage.code(number)
    numbers = [stage.number() for _ in range(40)]

    def ask(turn: int) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        answer = stage.check(verification, code) if turn % 2 else stage.start(numbers[turn])
        return answer, time.monotonic() - began

    with hanging(house), ThreadPoolExecutor(40) as pool:
        asked = pool.map(ask, range(40))
        time.sleep(0.1)
        began = time.monotonic()
        assert httpx.get(f"{stage.url}/healthz", timeout=5).status_code == 200
        assert time.monotonic() - began < PROMPT_S
        for answer, took in asked:
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
            assert took < PROMPT_S
        # A caller who goes on asking is told the same at once.
        began = time.monotonic()
        assert [stage.check(verification, code).status_code for _ in range(10)] == [503] * 10
        assert time.monotonic() - began < 2 * PROMPT_S
        assert httpx.get(f"{stage.url}/readyz", timeout=5).status_code == 503
    within(3, lambda: httpx.get(f"{stage.url}/readyz", timeout=5).status_code == 200, "readiness")
    assert stage.check(untouched, stage.code(spared)).status_code == 200
    # A check that the store had already taken in may have used the code up: then it was for nobody's approval.
    last = stage.check(verification, code)
    assert last.status_code == 200 or last.json()["code"] == "already_approved"
    assert stage.check(verification, code).json()["code"] == "already_approved"
    for other in numbers[::2]:
        # Whatever the hanging store had already taken in: one SMS at the most.
        stage.start(other)
        stage.code(other)
        assert len(stage.inbox(other)) == 1
