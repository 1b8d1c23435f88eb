"""A few threads for the work of many owners: they take turns by owner, so that one who asks much waits for itself."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Full(Exception):
    """There was no turn: too many wait, or none came in time."""


class FairPool:
    """Runs work in `threads` threads. For one event loop.

    At most `waiting` wait for a turn, each for `patience_s`. Where one too many waits, the owner with most of those
    that wait loses the newest of them.
    """

    def __init__(self, name: str, threads: int, waiting: int, patience_s: float) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._free = threads
        self._most = waiting
        self._patience_s = patience_s
        self._waiting = 0
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, owner: str, work: Callable[[], T]) -> T:
        """What the work returns, or raises. Raises Full."""
        if self._free:
            self._free -= 1
        else:
            await self._turn(owner)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._pass_on()

    async def _turn(self, owner: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(owner, deque()).append(turn)
        self._waiting += 1
        if self._waiting > self._most:
            self._refuse_one()
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            self._give_back(owner, turn)
            if isinstance(error, TimeoutError):
                raise Full from None
            raise

    def _refuse_one(self) -> None:
        owner = max(self._queues, key=lambda name: len(self._queues[name]))
        turn = self._queues[owner][-1]
        self._remove(owner, turn)
        if not turn.done():
            turn.set_exception(Full())

    def _remove(self, owner: str, turn: "asyncio.Future[None]") -> None:
        queue = self._queues[owner]
        queue.remove(turn)
        self._waiting -= 1
        if not queue:
            del self._queues[owner]

    def _give_back(self, owner: str, turn: "asyncio.Future[None]") -> None:
        """Who waited does not want it any more; perhaps the turn had come."""
        if turn in self._queues.get(owner, ()):
            self._remove(owner, turn)
        elif turn.done() and not turn.cancelled() and turn.exception() is None:
            self._pass_on()

    def _pass_on(self) -> None:
        """Give a turn to the owner that has waited longest for one."""
        while self._queues:
            owner, queue = next(iter(self._queues.items()))
            turn = queue[0]
            self._remove(owner, turn)
            if owner in self._queues:
                self._queues[owner] = self._queues.pop(owner)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
