"""The gate and the turnstile: few work at a time, whatever waits, and no place is ever lost."""

import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from otp_service.domain.errors import NotReady
from otp_service.web.endpoint import Endpoint
from otp_service.web.http import Doc, Route, reply
from otp_service.web.limits import (
    CALLERS,
    IN_LINE,
    SPARE,
    STRANGERS,
    WATCHING,
    BodyLimiter,
    Door,
    Threads,
    WorkLimiter,
    requests_at_once,
    threads_needed,
)
from otp_service.web.problems import Problems
from otp_service.web.routes.operations import Admin
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


def test_who_steps_aside_gives_the_place_away_and_gets_one_back() -> None:
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
    """Whatever is raised inside or aside, the gate has as many places afterwards."""
    limiter = WorkLimiter(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limiter, limiter.released:
            raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), limiter:
            raise ZeroDivisionError
    with limiter:
        pass


def test_a_turnstile_refuses_whom_it_has_no_place_for() -> None:
    """After a moment at first, at once for a while then, and not any more when a place is free."""
    turnstile = BodyLimiter(2, patience_s=0.05, closed_s=60)
    with turnstile, turnstile:
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(NotReady), turnstile:
                pytest.fail("nobody should get in")
        assert time.monotonic() - began < 5
    for _ in range(5):
        with turnstile, turnstile:
            pass


def test_a_turnstile_waits_for_a_place_a_moment() -> None:
    """Who comes while the last one is about to leave gets in."""
    turnstile, entered = BodyLimiter(1, patience_s=10), threading.Event()

    def enter() -> None:
        with turnstile:
            entered.set()

    with turnstile:
        coming = threading.Thread(target=enter)
        coming.start()
        assert not entered.wait(0.05)
    wait_until(entered.is_set)
    coming.join()


def test_the_parts_add_up() -> None:
    """With every place taken by somebody who waits, as many threads are left as may work."""
    for working in (1, 4, 16):
        waiting = WATCHING + CALLERS + STRANGERS + IN_LINE
        assert threads_needed(working) - SPARE - waiting == working
        assert requests_at_once(working) == waiting + working


def test_one_request_too_many_is_refused_at_once() -> None:
    """However many come, the threads that nothing may wait in are left."""
    door = Door(2)
    with door, door, pytest.raises(NotReady), door:
        pytest.fail("a third one was let in")
    with door:
        pass


def test_what_does_not_wait_is_answered_however_busy_the_process_is() -> None:
    """Every place to work is taken, and as many requests are under way as may be: only /healthz passes."""
    threads = Threads(1)
    threads.door = Door(0)
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
    routes = Admin(**dict.fromkeys(list(inspect.signature(Admin).parameters), anything)).routes()
    assert [route.template for route in routes if not route.waits] == ["/healthz"]
