"""A carrier that takes every message after a fixed time, for loads that would be too much for the sandbox.

`python -m tests.benchmarks.sink PORT MILLISECONDS`. It answers each POST as Telnyx does for one message, posts no
webhooks, and remembers of each message the number, the code in its text and when the request came (nanoseconds of the
machine's monotonic clock, which all processes share). `GET /messages` gives what came since the last GET, a line each.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from typing import Any

from .programs import HOST

_CODE = re.compile(r"\b[0-9]{6}\b")


class Sink:
    """The messages, and how long an answer takes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.lines: list[str] = []
        self._ids = itertools.count(1)

    def take(self, body: dict[str, Any], at_ns: int) -> bytes:
        """Remember a message; the carrier's answer to it."""
        number, text = body.get("to", "-"), body.get("text", "")
        code = _CODE.search(text)
        self.lines.append(f"{number} {code[0] if code else '-'} {at_ns}")
        return json.dumps({"data": self._message(body)}).encode()

    def _message(self, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "record_type": "message",
            "direction": "outbound",
            "id": f"40385f64-5717-4562-b3fc-{next(self._ids):012x}",
            "type": "SMS",
            "messaging_profile_id": body.get("messaging_profile_id"),
            "from": {"phone_number": body.get("from") or "+18445550001"},
            "to": [{"phone_number": body.get("to"), "status": "queued"}],
            "text": body.get("text", ""),
            "parts": 1,
            "errors": [],
        }

    def drain(self) -> bytes:
        """The lines since the last call."""
        lines, self.lines = self.lines, []
        return "".join(f"{line}\n" for line in lines).encode()


class Connection(asyncio.Protocol):
    """One connection of the worker; requests have a Content-Length or no body."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take every request that is whole now."""
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._rest) < end + 4 + length:
                return
            body = self._rest[end + 4 : end + 4 + length]
            self._rest = self._rest[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get /messages "):
            self._write(self._sink.drain())
        elif head.startswith(b"post "):
            answer = self._sink.take(json.loads(body), time.monotonic_ns())
            asyncio.get_running_loop().call_later(self._sink.seconds, self._write, answer)
        else:
            self._write(b'{"data":[],"meta":{"total_pages":1,"total_results":0,"page_number":1,"page_size":250}}')

    def _write(self, body: bytes) -> None:
        if not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


async def serve(port: int, seconds: float) -> None:
    """Serve until the process is ended."""
    sink = Sink(seconds)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sink), HOST, port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]) / 1000))
