"""A server on loopback that breaks connections and HTTP as real servers sometimes do.

It uses raw sockets, because no HTTP library would break the rules on request. A *script* gets each accepted
connection in a thread of its own; when it returns, the connection is closed.
"""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

Script = Callable[["Misbehaving", socket.socket], None]


class Misbehaving:
    """The server. `requests` are the requests read so far as (head, body), `connections` counts accepted ones."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.ended = 0
        """Connections that were closed here."""

        self.released = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            pass  # wakes the acceptor, which then sees that it is over
        self._acceptor.join()
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def base_url(self) -> str:
        """Where the client should go."""
        return f"http://127.0.0.1:{self.port}/v2"

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.released.is_set():
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._script(self, connection)
        with self._lock:
            self.ended += 1

    def read_request(self, connection: socket.socket) -> bool:
        """Read one whole request and remember it; False if the client is gone."""
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(65536)
            if not chunk:
                return False
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(header(head, "content-length") or 0)
        while len(body) < length:
            chunk = connection.recv(65536)
            if not chunk:
                return False
            body += chunk
        with self._lock:
            self.requests.append((head, body))
        return True


def header(head: bytes, name: str) -> str | None:
    """The value of a header in a request's head."""
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return None


def response(status: int, body: bytes | dict[str, Any] = b"", *headers: str) -> bytes:
    """A whole HTTP response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


def message(message_id: str = "40385f64-5717-4562-b3fc-2c963f66afa6", **more: Any) -> dict[str, Any]:
    """The carrier's answer to a send."""
    to = [{"phone_number": "+12025550143", "status": "queued", "carrier": "X", "line_type": "Wireless"}]
    return {"data": {"id": message_id, "direction": "outbound", "to": to, "wait_seconds": 0.5, "errors": [], **more}}


def reset(connection: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answering(*responses: bytes) -> Script:
    """A script that gives these answers one after the other on kept-alive connections, the last one for ever."""
    remaining = list(responses)
    lock = threading.Lock()

    def script(server: Misbehaving, connection: socket.socket) -> None:
        while server.read_request(connection):
            with lock:
                answer = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            connection.sendall(answer)

    return script
