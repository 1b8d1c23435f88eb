"""The socket side of the sandbox: keep-alive, threads, and every mishap that only a socket can have.

Nothing is logged: request paths hold phone numbers.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
import time
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from otp_service.sandbox.app import MAX_BODY_BYTES
from otp_service.sandbox.wire import ENVIRON_KEY, HANG_S, Mishap, Wire

BACKLOG = 512
_IDLE_S = 75
_POLL_S = 0.02
_LINGER_S = 1.0
_LINGER_BYTES = 16_000_000


class Handler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive. Werkzeug's own `run_wsgi` closes every connection after one answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        environ[ENVIRON_KEY] = wire = Wire()
        if not self._read_body(environ):
            return
        self.environ = environ
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            head[:] = [status, headers]
            return lambda _: None

        try:
            chunks: Iterable[bytes] = self.server.app(environ, start_response)
            try:
                if wire.mishap is None:
                    self._answer(head[0], head[1], chunks)
                else:
                    self._misbehave(wire, head[0], head[1], b"".join(chunks))
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
        except OSError:
            # The other side is gone. Nothing to tell it.
            self.close_connection = True
        if self.close_connection and environ.get("otp_sandbox.unread"):
            self._linger()

    def _read_body(self, environ: dict[str, Any]) -> bool:
        """Take the body off the wire so that the next request starts where it ends; False if it is cut off."""
        if environ.pop("wsgi.input_terminated", False):
            return self._read_chunks(environ)
        declared = environ.get("CONTENT_LENGTH") or "0"
        if not (declared.isascii() and declared.isdigit() and len(declared) < 16):
            # Where the next request begins is anybody's guess.
            declared = "0"
            self.close_connection = True
        environ["CONTENT_LENGTH"] = declared
        length = int(declared)
        if length > MAX_BODY_BYTES:
            self._leave_unread(environ)
            return True
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            self.close_connection = True
            return False
        environ["wsgi.input"] = io.BytesIO(body)
        return True

    def _read_chunks(self, environ: dict[str, Any]) -> bool:
        """A chunked body, as far as the limit; the connection is not used again, to be safe from smuggling.

        To the application (and the journal) it looks like a body of known length.
        """
        self.close_connection = True
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        body = bytearray()
        try:
            while len(body) <= MAX_BODY_BYTES and (data := environ["wsgi.input"].read(65_536)):
                body += data
        except OSError:
            return False
        if len(body) > MAX_BODY_BYTES:
            self._leave_unread(environ)
        else:
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["wsgi.input"] = io.BytesIO(body)
        return True

    def _leave_unread(self, environ: dict[str, Any]) -> None:
        """Tell the application that the body is too large, without reading it."""
        environ["otp_sandbox.unread"] = self.close_connection = True
        environ["CONTENT_LENGTH"] = str(MAX_BODY_BYTES + 1)
        environ["wsgi.input"] = io.BytesIO()

    def _head(self, status: str, headers: list[tuple[str, str]], *extra: tuple[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in (*headers, *extra)]
        if self.close_connection:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _answer(self, status: str, headers: list[tuple[str, str]], chunks: Iterable[bytes]) -> None:
        sized = any(name.lower() == "content-length" for name, _ in headers)
        bodiless = self.command == "HEAD" or status[:3] in {"204", "304"}
        if sized or bodiless:
            # Head and body in one segment: two would wait for each other's acknowledgement.
            self.wfile.write(self._head(status, headers) + b"".join(chunks))
            return
        if self.request_version == "HTTP/1.0":
            self.close_connection = True
            self.wfile.write(self._head(status, headers))
            for chunk in chunks:
                self.wfile.write(chunk)
            return
        self.wfile.write(self._head(status, headers, ("Transfer-Encoding", "chunked")))
        for chunk in chunks:
            if chunk:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    # -- mishaps ----------------------------------------------------------------------------------------

    def _misbehave(self, wire: Wire, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.close_connection = True
        if wire.mishap is Mishap.HALF:
            self.wfile.write(self._head(status, headers) + body[: len(body) // 2])
        elif wire.mishap is Mishap.RESET:
            # Closing with a zero linger time sends RST; the socket is really closed when `rfile` is.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self._hang(wire.released or threading.Event())

    def _hang(self, released: threading.Event) -> None:
        """Say nothing until the time is over, the client has gone, or the sandbox is reset or ends."""
        self.connection.setblocking(False)
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline and not released.wait(_POLL_S):
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return
            except BlockingIOError:
                continue

    def _linger(self) -> None:
        """Swallow what the client still sends, so that it reads our answer instead of a reset."""
        deadline, taken = time.monotonic() + _LINGER_S, 0
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_S)
            while time.monotonic() < deadline and taken < _LINGER_BYTES:
                data = self.connection.recv(65_536)
                if not data:
                    return
                taken += len(data)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Nothing: a request line holds numbers."""


class Server(ThreadedWSGIServer):
    """One daemon thread per connection; knows its connections, so that closing leaves none open."""

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, listener: socket.socket, app: Any) -> None:
        host, port = listener.getsockname()[:2]
        self._live: set[socket.socket] = set()
        self._live_lock = threading.Lock()
        super().__init__(host, port, app, Handler, fd=listener.fileno())

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        with self._live_lock:
            self._live.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._live_lock:
            self._live.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Wake every connection's thread: nobody is served any more."""
        with self._live_lock:
            live = list(self._live)
        for connection in live:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a connection that breaks is the daily bread of a chaos carrier."""
