"""Who loses a place where there are no more: of connections the idle ones, of requests those of who holds most."""

import asyncio
import time
from collections.abc import Callable

from otp_service.front.connections import Connections
from otp_service.front.deadlines import Deadlines
from otp_service.front.receiving import Receiving


class One:
    """A connection that remembers how it ended."""

    def __init__(self, name: str, ended: list[str]) -> None:
        self._name = name
        self._ended = ended

    def give_up(self) -> None:
        """Its request does not arrive."""
        self._ended.append(self._name)

    close_idle = give_up


def in_loop(work: Callable[[asyncio.AbstractEventLoop], object]) -> None:
    """Run it in a loop."""

    async def run() -> None:
        work(asyncio.get_running_loop())

    asyncio.run(run())


def test_the_oldest_of_who_holds_most_makes_room() -> None:
    """However many others there are: one slow sender with a key never loses its place to a thousand without."""

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ended: list[str] = []
        receiving = Receiving(loop, 60, most=10)
        receiving.hold(One("honest", ended), "app default", 100)
        for number in range(50):
            receiving.hold(One(f"slow {number}", ended), f"address 192.0.2.{number % 2}", 100)
        assert "honest" not in ended
        assert len(ended) == 41
        assert ended[0] == "slow 0"
        assert "slow 49" not in ended

    in_loop(work)


def test_bytes_count_too() -> None:
    """Not only how many there are; and a request that is known better counts for its app."""

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ended: list[str] = []
        receiving = Receiving(loop, 60, most=100, most_bytes=1000)
        large = One("large", ended)
        for size in (10, 400, 800):
            receiving.hold(large, "address 192.0.2.1" if size == 10 else "app large", size)
        for number in range(3):
            receiving.hold(One(f"small {number}", ended), "app small", 50)
        assert ended == []
        receiving.hold(One("last", ended), "app small", 100)
        assert ended == ["large"]
        receiving.end(large)
        assert receiving.make_room()
        assert ended == ["large", "small 0"]

    in_loop(work)


def test_nothing_to_make_room_with() -> None:
    """Is said."""
    made: list[bool] = []
    in_loop(lambda loop: made.append(Receiving(loop).make_room()))
    assert made == [False]


def test_the_longest_idle_connection_closes() -> None:
    """Never the new one, and none with a request; without an idle one, a request that is arriving."""

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ended: list[str] = []
        receiving = Receiving(loop)
        connections = Connections(3, receiving)
        busy, first, second = (One(name, ended) for name in ("busy", "first", "second"))
        for one in (busy, first, second):
            connections.opened(one)
        connections.busy(busy)
        connections.busy(first)
        connections.idle(first)
        connections.opened(One("third", ended))
        assert ended == ["second"]
        connections.opened(One("fourth", ended))
        assert ended == ["second", "first"]
        connections.closed(first)
        full = Connections(1, receiving)
        arriving = One("arriving", ended)
        full.opened(arriving)
        full.busy(arriving)
        receiving.hold(arriving, "address 192.0.2.1", 10)
        full.opened(One("fifth", ended))
        assert ended == ["second", "first", "arriving"]

    in_loop(work)


def test_a_deadline_for_each() -> None:
    """What has ended in time is left alone."""

    async def run() -> list[str]:
        late: list[str] = []
        deadlines = Deadlines(asyncio.get_running_loop(), 0.01, late.append)
        for name in ("a", "b", "c"):
            deadlines.begin(name)
        deadlines.end("b")
        until = time.monotonic() + 30
        while len(late) < 2 and time.monotonic() < until:
            await asyncio.sleep(0.02)
        return late

    assert asyncio.run(run()) == ["a", "c"]
