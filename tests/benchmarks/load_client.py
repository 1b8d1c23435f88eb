"""A load generator in Python, for machines without wrk. It takes the same plan and prints the same line.

It costs several times as much CPU per request as wrk, on the cores that the server needs too, so its figures are lower.
"""

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

from . import figures
from .load import MARK


class Answers:
    """Cuts a stream of bytes into HTTP/1.1 answers with a Content-Length, any number in a piece."""

    def __init__(self) -> None:
        self._rest = b""
        self.closes = False
        """Whether the last answer said that the connection ends with it."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Add bytes; the statuses and bodies of the answers that are whole now. Raises ValueError for other answers."""
        self._rest += data
        found = []
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end].lower()
            length = _length(head)
            if len(self._rest) < end + 4 + length:
                break
            self.closes = b"\r\nconnection: close" in head
            found.append((int(head[9:12]), self._rest[end + 4 : end + 4 + length]))
            self._rest = self._rest[end + 4 + length :]
        return found


def _length(head: bytes) -> int:
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        raise ValueError("an answer without Content-Length")
    return int(head[start + 17 :].split(b"\r\n", 1)[0])


def requests(plan: Path, host: str, headers: str, *, again: bool) -> Iterator[bytes]:
    """The requests of a plan as bytes."""
    lines = plan.read_text(encoding="utf-8").splitlines()
    for line in cycle(lines) if again else lines:
        target, _, body = line.partition("\t")
        yield request(target, host, headers, body)


def request(target: str, host: str, headers: str, body: str) -> bytes:
    """One request to a target `METHOD PATH`. `headers` are whole lines."""
    return f"{target} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class Load:
    """The counters of one load, and its connections."""

    def __init__(self, plan: Iterator[bytes], seconds: float) -> None:
        self.plan = plan
        self.ends = time.monotonic() + seconds
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.errors = 0

    def next(self) -> bytes | None:
        """The next request; None when time or plan is at its end."""
        return next(self.plan, None) if time.monotonic() < self.ends else None

    async def connection(self, host: str, port: int) -> None:
        """One connection, opened again wherever the server closes it after an answer."""
        again = True
        while again:
            again = await self._one(host, port)

    async def _one(self, host: str, port: int) -> bool:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(lambda: _Connection(self, loop.create_future()), host, port)
        try:
            return await asyncio.wait_for(protocol.ended, self.ends - time.monotonic() + 20)
        except (OSError, ValueError, TimeoutError):
            self.errors += 1
            return False
        finally:
            transport.close()


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load, ended: "asyncio.Future[bool]") -> None:
        self.ended = ended
        """Whether the server closed it in an orderly way, and another one is to follow."""
        self._load = load
        self._answers = Answers()
        self._sent = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        data = self._load.next()
        if data is None:
            self._end(again=False)
        else:
            self._sent = time.perf_counter()
            self._transport.write(data)

    def _end(self, *, again: bool = False, error: Exception | None = None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error) if error else self.ended.set_result(again)

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._answers.feed(data)
        except ValueError as error:
            self._end(error=error)
            return
        for status, _ in answers:
            self._load.latencies.append(time.perf_counter() - self._sent)
            self._load.statuses[status] += 1
            self._end(again=True) if self._answers.closes else self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(error=exc or ConnectionError("closed by the server"))


async def run(load: Load, host: str, port: int, connections: int) -> float:
    """Put the load on; how many seconds it took."""
    began = time.perf_counter()
    await asyncio.gather(*(load.connection(host, port) for _ in range(connections)))
    return time.perf_counter() - began


def describe(load: Load, seconds: float, connections: int) -> dict[str, object]:
    """The result as `load.Result` reads it."""
    count = len(load.latencies)
    filled = figures.fill_pauses(load.latencies, seconds * connections / count) if count else [0.0]
    return {
        "requests": count,
        "seconds": seconds,
        "errors": load.errors,
        "p50_ms": figures.percentile(filled, 0.5) * 1000,
        "p99_ms": figures.percentile(filled, 0.99) * 1000,
        "max_ms": max(filled) * 1000,
        "statuses": {str(status): number for status, number in load.statuses.items()},
    }


def main() -> None:
    """Put the load on and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--again", action="store_true", help="begin again at the end of the plan")
    args = parser.parse_args()
    address = urlsplit(args.url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    plan = requests(args.plan, f"{host}:{port}", os.environ.get("BENCH_HEADERS", ""), again=args.again)
    load = Load(plan, args.seconds)
    seconds = asyncio.run(run(load, host, port, args.connections))
    print(f"{MARK}{json.dumps(describe(load, seconds, args.connections))}")


if __name__ == "__main__":
    main()
