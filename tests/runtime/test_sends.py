"""Sends in an event loop: as many at once as there is room for, in greenlets that are used again."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import greenlet  # type: ignore[import-untyped]
import pytest

from otp_service.runtime import event_loop
from otp_service.runtime.sends import LoopedSends
from tests.conftest import wait_until


@pytest.fixture(params=[event_loop.factory(), asyncio.new_event_loop])
def sends(request: pytest.FixtureRequest) -> Iterator[LoopedSends]:
    """With room for two; on each loop that a worker may have."""
    made = LoopedSends(2, request.param())
    yield made
    made.close()
    wait_until(lambda: not made.loop.is_running(), what="the end of the loop")
    made.loop.close()


def test_no_more_run_at_once_than_there_is_room_for(sends: LoopedSends) -> None:
    """Those that wait come in order, in the greenlets that the first ones had."""
    running, most, order, used, ended = [0], [0], list[int](), set[int](), list[int]()

    def work(number: int) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        order.append(number)
        used.add(id(greenlet.getcurrent()))
        sends.sleep(0.001)
        running[0] -= 1

    for number in range(50):
        sends.submit(partial(work, number), partial(ended.append, number))
    wait_until(lambda: len(ended) == 50, 30.0)
    assert (most[0], order, sorted(ended)) == (2, list(range(50)), list(range(50)))
    assert len(used) == 2
    sends.submit(partial(work, 50), partial(ended.append, 50))
    wait_until(lambda: len(ended) == 51, 30.0)
    assert len(used) == 2


def test_at_the_end_what_has_not_begun_never_does(sends: LoopedSends) -> None:
    """Its end is told before the call returns; what runs goes on to its own."""
    began, ended, over = list[int](), list[int](), threading.Event()

    def work(number: int) -> None:
        began.append(number)
        while not over.is_set():
            sends.sleep(0.001)

    for number in range(5):
        sends.submit(partial(work, number), partial(ended.append, number))
    wait_until(lambda: began == [0, 1], 30.0)
    sends.start_no_more()
    assert ended == [2, 3, 4]
    sends.submit(partial(work, 5), partial(ended.append, 5))
    assert ended == [2, 3, 4, 5]
    over.set()
    wait_until(lambda: len(ended) == 6, 30.0)
    assert began == [0, 1]
