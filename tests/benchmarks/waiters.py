"""Browsers that wait for news: `python -m tests.benchmarks.waiters URL FILE SECONDS`.

A line of the file is the id of a verification, a blank and the token that opens it. Each waits on a connection of its
own with `GET /verify/{id}?wait=25`, and asks again after every answer; after a refusal it pauses for ten seconds. Twice
a second a file beside it, with the suffix `.state`, is told how many wait and how many answers of each status came.
"""

import asyncio
import json
import resource
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from .load_client import Answers

WAIT_S, PAUSE_S = 25, 10
OPENED_AT_ONCE = 200
"""So many connections are opened at the same moment, fewer than a server's backlog."""


class Waiters:
    """How many wait, and what was answered."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._opening = asyncio.Semaphore(OPENED_AT_ONCE)
        self.waiting = 0
        self.statuses: Counter[int] = Counter()
        self.errors = 0

    async def one(self, verification_id: str, token: str) -> None:
        """One browser, until it is cancelled."""
        while True:
            try:
                await self._connection(verification_id, token)
            except OSError:
                self.errors += 1
            await asyncio.sleep(PAUSE_S)

    async def _connection(self, verification_id: str, token: str) -> None:
        async with self._opening:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        target = f"GET /verify/{verification_id}?wait={WAIT_S}"
        head = f"{target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        line = head.encode()
        try:
            while await self._ask(reader, writer, line) == 200:
                pass
        finally:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> int:
        parser = Answers()
        writer.write(line)
        self.waiting += 1
        try:
            while not (found := parser.feed(data := await reader.read(65536))):
                if not data:
                    raise ConnectionError("closed by the server")
        finally:
            self.waiting -= 1
        self.statuses[found[0][0]] += 1
        return 0 if parser.closes else found[0][0]

    def describe(self) -> str:
        """One line of JSON."""
        statuses = {str(status): count for status, count in self.statuses.items()}
        return json.dumps({"waiting": self.waiting, "errors": self.errors, "statuses": statuses})


async def run(url: str, file: Path, seconds: float) -> None:
    """Let all of them wait for so long."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    address = urlsplit(url)
    waiters = Waiters(address.hostname or "", address.port or 80)
    pairs = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    tasks = [asyncio.create_task(waiters.one(*pair)) for pair in pairs]
    for _ in range(round(seconds * 2)):
        await asyncio.sleep(0.5)
        new = file.with_suffix(".new")
        new.write_text(waiters.describe(), encoding="utf-8")
        new.replace(file.with_suffix(".state"))
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
