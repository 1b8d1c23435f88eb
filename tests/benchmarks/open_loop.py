"""Requests at a fixed rate, whether or not the answers to earlier ones are there: for latency at a chosen load.

Each latency counts from the moment at which the request was due, so a pause is not hidden (no coordinated omission).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from .load import Request
from .post import Answer, Connection

MOST_CONNECTIONS = 256


class Timed(NamedTuple):
    """An answer, with the moments in ns of the monotonic clock at which its request was due and it came."""

    answer: Answer
    due_ns: int
    answered_ns: int


async def _at_rate(connections: list[Connection], requests: Sequence[Request], per_s: float) -> list[Timed]:
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for connection in connections:
        free.put_nowait(connection)
    began = time.monotonic_ns()

    async def send(index: int, one: Request) -> Timed:
        due_ns = began + round(index * 1e9 / per_s)
        await asyncio.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
        connection = await free.get()
        try:
            return Timed(await connection.answer(one), due_ns, time.monotonic_ns())
        finally:
            free.put_nowait(connection)

    try:
        async with asyncio.timeout(len(requests) / per_s + 60):
            return await asyncio.gather(*(send(index, one) for index, one in enumerate(requests)))
    finally:
        for connection in connections:
            connection.close()


def run(url: str, requests: Sequence[Request], headers: Mapping[str, str], per_s: float) -> list[Timed]:
    """Send all at this rate. Raises OSError, and TimeoutError a minute after the last one was due."""
    address = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    host, port = address.hostname or "", address.port or 80
    connections = [Connection(host, port, lines) for _ in range(MOST_CONNECTIONS)]
    return asyncio.run(_at_rate(connections, requests, per_s))
