"""Threads for the work of many: whose turn it is, who is refused, and that no turn is lost."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from otp_service.front.fair_pool import FairPool, Full

LONG_S = 60.0


class Work:
    """Work that ends when the test says so, and notes its beginning."""

    def __init__(self, pool: FairPool) -> None:
        self._pool = pool
        self.begun: list[str] = []
        self._may_end = threading.Semaphore(0)

    def ask(self, owner: str, name: str = "") -> "asyncio.Task[str]":
        """Somebody asks for it."""
        return asyncio.create_task(self._pool.run(owner, lambda: self._work(name or owner)))

    def _work(self, name: str) -> str:
        self.begun.append(name)
        assert self._may_end.acquire(timeout=LONG_S)
        return name

    def end(self, count: int) -> None:
        """So many may end."""
        for _ in range(count):
            self._may_end.release()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop."""

    async def main() -> None:
        await test()

    asyncio.run(main())


async def settle() -> None:
    """Let the tasks begin to wait."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_owners_take_turns() -> None:
    """Who asks once waits for one request of each of the others, however many they ask."""

    async def test() -> None:
        work = Work(FairPool("test", 1, 100, LONG_S))
        asked = [work.ask("much", f"much {number}") for number in range(10)]
        await settle()
        asked += [work.ask("little"), work.ask("other")]
        await settle()
        work.end(12)
        await asyncio.gather(*asked)
        assert work.begun[:4] == ["much 0", "much 1", "little", "other"]
        assert len(work.begun) == 12

    run(test)


def test_each_owner_is_served_in_the_order_of_arrival() -> None:
    """Among owners it is whose turn was longest ago."""

    async def test() -> None:
        work = Work(FairPool("test", 1, 100, LONG_S))
        names = [f"{owner}{number}" for owner in "abc" for number in range(3)]
        asked = [work.ask("first")]
        await settle()
        for name in names:
            asked.append(work.ask(name[0], name))
            await settle()
        work.end(10)
        await asyncio.gather(*asked)
        assert work.begun == ["first", "a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]

    run(test)


def test_who_waits_most_is_refused() -> None:
    """Where too many wait; then as many may wait again."""

    async def test() -> None:
        work = Work(FairPool("test", 1, 4, LONG_S))
        much = [work.ask("much", f"much {number}") for number in range(5)]
        await settle()
        little = [work.ask("little"), work.ask("other")]
        await settle()
        work.end(5)
        answers = await asyncio.gather(*much, *little, return_exceptions=True)
        assert [isinstance(answer, Full) for answer in answers] == [False] * 3 + [True] * 2 + [False] * 2
        work.end(1)
        assert await work.ask("much") == "much"

    run(test)


def test_nobody_waits_for_ever() -> None:
    """At the deadline it is refused, and its turn is another's."""

    async def test() -> None:
        pool = FairPool("test", 1, 4, 0.01)
        work = Work(pool)
        first = work.ask("first")
        await settle()
        with pytest.raises(Full):
            await work.ask("second")
        work.end(2)
        assert await first == "first"
        assert await work.ask("third") == "third"

    run(test)


def test_no_turn_is_lost() -> None:
    """Whoever goes away, before the turn or with it, and whatever the work raises."""

    async def test() -> None:
        pool = FairPool("test", 2, 50, LONG_S)
        work = Work(pool)
        asked = [work.ask(f"owner {number % 3}") for number in range(20)]
        await settle()
        for one in asked[4::2]:
            one.cancel()
        work.end(20)
        await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(ZeroDivisionError):
            await pool.run("x", lambda: 1 // 0)
        work.end(40)
        assert await asyncio.gather(*(work.ask("again") for _ in range(20))) == ["again"] * 20

    run(test)
