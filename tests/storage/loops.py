"""An event loop in a thread, in which tests run work as the event-loop server does."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import uvloop

from otp_service import greenlets
from otp_service.storage.connect import connect
from otp_service.storage.pipelined.store import pipelined
from otp_service.storage.store import Store

T = TypeVar("T")


class LoopThread:
    """The loop, and stores that are opened in it. Use as a context manager."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stores: list[Store] = []

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def open(self, url: str) -> Store:
        """A store for work in the loop."""
        blocking = connect(url)
        store = pipelined(self.loop, blocking)
        self._stores += [store, blocking]
        return store

    def begin(self, work: Callable[[], T]) -> "Future[T]":
        """Begin work in the loop."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to the test
                future.set_exception(error)

        self.loop.call_soon_threadsafe(greenlets.start, run)
        return future

    def run(self, work: Callable[[], T]) -> T:
        """Run work in the loop and wait for its result. Re-raises its failure."""
        return self.begin(work).result(60)

    def __enter__(self) -> "LoopThread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(60)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(60)

    async def _close(self) -> None:
        for store in self._stores:
            store.client.close()
        # What was connecting ends, and then come iterations in which the connections notice that they are closed.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=30)
        await asyncio.sleep(0.05)
