"""Requests outside the measurement, as many as a row needs beforehand: sent over a few connections, answers kept."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from .load import Request
from .load_client import Answers, request

Answer = tuple[int, bytes]


class Connection:
    """One connection, opened again wherever the server closes it after an answer."""

    def __init__(self, host: str, port: int, headers: str) -> None:
        self._host, self._port, self._headers = host, port, headers
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def answer(self, one: Request) -> Answer:
        """Send one request and wait for its answer. Raises OSError."""
        reader, writer = self._streams or await asyncio.open_connection(self._host, self._port)
        self._streams = reader, writer
        parser = Answers()
        writer.write(request(f"{one.method} {one.path}", f"{self._host}:{self._port}", self._headers, one.body))
        while not (found := parser.feed(data := await reader.read(65536))):
            if not data:
                raise ConnectionError("closed by the server")
        if parser.closes:
            self.close()
        return found[0]

    def close(self) -> None:
        """Close it; the next request opens another one."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _some(connection: Connection, waiting: Iterator[tuple[int, Request]], answers: list[Answer | None]) -> None:
    try:
        for index, one in waiting:
            answers[index] = await connection.answer(one)
    finally:
        connection.close()


async def _all(url: str, requests: Sequence[Request], headers: str, connections: int) -> list[Answer]:
    address = urlsplit(url)
    waiting = iter(list(enumerate(requests)))
    answers: list[Answer | None] = [None] * len(requests)
    opened = [Connection(address.hostname or "", address.port or 80, headers) for _ in range(connections)]
    jobs = [_some(connection, waiting, answers) for connection in opened]
    async with asyncio.timeout(300):
        await asyncio.gather(*jobs)
    return [answer for answer in answers if answer is not None]


def post_all(url: str, requests: Sequence[Request], headers: Mapping[str, str], connections: int = 16) -> list[Answer]:
    """Send all; statuses and bodies in the order of the requests. Raises OSError, and TimeoutError after 5 minutes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return asyncio.run(_all(url, requests, lines, connections))
