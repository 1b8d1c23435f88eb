"""Who loses a place where there are no more: of connections the idle ones, of requests those of who holds most."""

import asyncio
import time
from collections.abc import Callable

from otp_service.front.connections import Connections
from otp_service.front.deadlines import Deadlines
from otp_service.front.receiving import Receiving
from otp_service.front.shares import Largest


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
            connections.opened(one, "192.0.2.1")
        connections.busy(busy, "192.0.2.1")
        connections.busy(first, "192.0.2.1")
        connections.idle(first, "192.0.2.1")
        connections.opened(One("third", ended), "192.0.2.1")
        assert ended == ["second"]
        connections.opened(One("fourth", ended), "192.0.2.1")
        assert ended == ["second", "first"]
        connections.closed(first, "192.0.2.1")
        full = Connections(1, receiving)
        arriving = One("arriving", ended)
        full.opened(arriving, "192.0.2.1")
        full.busy(arriving, "192.0.2.1")
        receiving.hold(arriving, "address 192.0.2.1", 10)
        full.opened(One("fifth", ended), "192.0.2.1")
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


def test_bytes_do_not_make_a_request_younger() -> None:
    """Who sends a byte now and then does not outlast those that came later."""

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ended: list[str] = []
        receiving = Receiving(loop, 60, most=3)
        slow = One("slow", ended)
        for size in range(1, 4):
            receiving.hold(slow, "address 192.0.2.1", size)
            receiving.hold(One(f"later {size}", ended), "address 192.0.2.1", 100)
        assert ended == ["slow"]

    in_loop(work)


def test_idle_connections_of_one_address_close_none_of_another() -> None:
    """However long those of the other have been idle: who has most makes room."""

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ended: list[str] = []
        connections = Connections(10, Receiving(loop))
        for number in range(2):
            connections.opened(One(f"proxy {number}", ended), "192.0.2.1")
        for number in range(50):
            connections.opened(One(f"idle {number}", ended), "198.51.100.1")
        assert ended == [f"idle {number}" for number in range(42)]

    in_loop(work)


def test_an_address_whose_connections_all_work_loses_none() -> None:
    """However many were idle before; and it is among those that have most as soon as they are idle again."""

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ended: list[str] = []
        connections = Connections(6, Receiving(loop))
        many = [One(f"many {number}", ended) for number in range(4)]
        for one in many:
            connections.opened(one, "192.0.2.1")
        for number in range(2):
            connections.opened(One(f"few {number}", ended), "198.51.100.1")
        for one in many:
            connections.busy(one, "192.0.2.1")
        connections.opened(One("new", ended), "203.0.113.1")
        assert ended == ["few 0"]
        for one in many:
            connections.idle(one, "192.0.2.1")
        connections.opened(One("newer", ended), "203.0.113.1")
        assert ended == ["few 0", "many 0"]
        for one in many:
            connections.closed(one, "192.0.2.1")
        for number in range(4):
            connections.opened(One(f"newest {number}", ended), "203.0.113.1")
        assert ended == ["few 0", "many 0", "new"]

    in_loop(work)


def test_many_owners_make_none_of_them_dearer() -> None:
    """Four thousand addresses with a request each: the next one costs no look at all of them."""

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ended: list[str] = []
        looked: list[str] = []

        class Counted(Receiving):
            def _weight(self, share: object) -> int:
                looked.append("")
                return super()._weight(share)  # type: ignore[arg-type]

        receiving = Counted(loop, 60, most=4000)
        for number in range(4000):
            receiving.hold(One(f"{number}", ended), f"address {number}", 100)
        looked.clear()
        for number in range(4000, 4100):
            receiving.hold(One(f"{number}", ended), f"address {number}", 100)
        assert len(ended) == 100
        assert len(looked) <= 300

    in_loop(work)


def test_the_largest_is_found_whatever_was_more_before() -> None:
    """What each has now counts, and who has nothing is none of them."""
    largest, amounts = Largest(), {"a": 5, "b": 3, "c": 4}
    for owner, amount in amounts.items():
        largest.has(owner, amount)
    amounts["a"] = 1
    assert largest.find(amounts.__getitem__) == "c"
    largest.forget("c")
    assert largest.find(amounts.__getitem__) == "b"
    largest.has("a", amounts.setdefault("a", 1) + 6)
    amounts["a"] = 7
    assert largest.find(amounts.__getitem__) == "a"
    amounts["a"] = 0
    assert largest.find(amounts.__getitem__) == "b"
    amounts["a"] = 7
    largest.has("a", 7)
    assert largest.find(amounts.__getitem__) == "a"
    for owner in ("a", "b", "c"):
        largest.forget(owner)
    assert largest.find(amounts.__getitem__) is None
