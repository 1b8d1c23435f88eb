"""The limiters: few requests work at a time, whatever waits, and no place is ever lost."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from otp_service.domain.errors import NotReady
from otp_service.web.endpoint import Endpoint
from otp_service.web.http import Doc, Route, reply
from otp_service.web.limits import (
    BODIES_WITH_KEY,
    BODIES_WITHOUT_KEY,
    QUEUED,
    SPARE,
    WATCHING,
    BodyLimiter,
    RequestLimiter,
    Threads,
    WorkLimiter,
    requests_at_once,
    threads_needed,
)
from otp_service.web.problems import Problems
from otp_service.web.readiness import Judgement
from otp_service.web.routes.health import HealthRoutes
from tests.conftest import wait_until


def test_no_more_work_at_a_time_than_there_are_places() -> None:
    """Of twenty threads three are inside, never more, and all get through."""
    limiter, lock, inside, most = WorkLimiter(3), threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with limiter:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(100)))
    assert (inside[0], most[0]) == (0, 3)


def test_a_released_place_goes_to_another_request_and_comes_back() -> None:
    """Inside again only when there is a place again."""
    limiter, released, back = WorkLimiter(1), threading.Event(), threading.Event()

    def wait() -> None:
        with limiter:
            with limiter.released:
                released.set()
            back.set()

    waiting = threading.Thread(target=wait)
    with limiter:
        waiting.start()
        assert not released.wait(0.1)
    assert back.wait(5)
    waiting.join()
    with limiter, limiter.released, limiter:
        pass


def test_a_fault_costs_no_place() -> None:
    """Whatever is raised inside or while released, the limiter has as many places afterwards."""
    limiter = WorkLimiter(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limiter, limiter.released:
            raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), limiter:
            raise ZeroDivisionError
    with limiter:
        pass


def test_a_limiter_refuses_whom_it_has_no_place_for() -> None:
    """After a moment at first, at once for a while then, and not any more when a place is free."""
    limiter = BodyLimiter(2, patience_s=0.05, closed_s=60)
    with limiter, limiter:
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(NotReady), limiter:
                pytest.fail("nobody should get in")
        assert time.monotonic() - began < 5
    for _ in range(5):
        with limiter, limiter:
            pass


def test_a_limiter_waits_for_a_place_a_moment() -> None:
    """Who comes while the last one is about to leave gets in."""
    limiter, entered = BodyLimiter(1, patience_s=10), threading.Event()

    def enter() -> None:
        with limiter:
            entered.set()

    with limiter:
        coming = threading.Thread(target=enter)
        coming.start()
        assert not entered.wait(0.05)
    wait_until(entered.is_set)
    coming.join()


def test_the_parts_add_up() -> None:
    """With every place taken by a request that waits, as many threads are left as may work."""
    for working in (1, 4, 16):
        waiting = WATCHING + BODIES_WITH_KEY + BODIES_WITHOUT_KEY + QUEUED
        assert threads_needed(working) - SPARE - waiting == working
        assert requests_at_once(working) == waiting + working


def test_one_request_too_many_is_refused_at_once() -> None:
    """However many come, the threads that nothing may wait in are left."""
    limiter = RequestLimiter(2)
    with limiter, limiter, pytest.raises(NotReady), limiter:
        pytest.fail("a third one was let in")
    with limiter:
        pass


def test_what_does_not_wait_is_answered_however_busy_the_process_is() -> None:
    """Every place to work is taken, and as many requests are under way as may be: only /healthz passes."""
    threads = Threads(1)
    threads.requests = RequestLimiter(0)
    anything = cast("Any", None)
    doc = Doc("x")
    answers = {
        waits: Endpoint(
            Route("GET", "/x", lambda _: reply(200, "ok"), None, doc, waits=waits),
            anything,
            Problems("http://otp.test"),
            lambda: "req_1",
            threads,
        )
        for waits in (True, False)
    }
    with threads.limiter:
        statuses = {waits: answer({}, {}, {}, lambda _: b"", "127.0.0.1").status for waits, answer in answers.items()}
    assert statuses == {True: 503, False: 200}
    routes = HealthRoutes(Judgement, anything).routes()
    assert [route.template for route in routes if not route.waits] == ["/healthz", "/readyz"]
