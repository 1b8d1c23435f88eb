"""HTTP on a socket: keep-alive, request bodies, and the response faults that need a socket.

Nothing is logged, because request paths contain phone numbers.
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

from werkzeug.serving import WSGIRequestHandler

from otp_service.sandbox.app import MAX_BODY_BYTES
from otp_service.sandbox.response_faults import ENVIRON_KEY, HANG_S, FaultKind, ResponseFault

_IDLE_S = 75
_POLL_S = 0.02
_DRAIN_S = 1.0
_DRAIN_BYTES = 16_000_000
_UNREAD = "otp_sandbox.unread"

Headers = list[tuple[str, str]]


class Handler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive. Werkzeug's own `run_wsgi` closes every connection after one response."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        environ[ENVIRON_KEY] = fault = ResponseFault()
        if not self._read_body(environ):
            return
        self.environ = environ
        try:
            self._run_app(environ, fault)
        except OSError:
            # The client has closed the connection.
            self.close_connection = True
        if self.close_connection and environ.get(_UNREAD):
            self._drain()

    def _run_app(self, environ: dict[str, Any], fault: ResponseFault) -> None:
        started: list[Any] = []

        def start_response(status: str, headers: Headers, exc_info: Any = None) -> Any:
            started[:] = [status, headers]
            return lambda _: None

        chunks: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            if fault.kind is None:
                self._send_response(started[0], started[1], chunks)
            else:
                self._send_faulty_response(fault, started[0], started[1], b"".join(chunks))
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    # -- the request body -------------------------------------------------------------------------------

    def _read_body(self, environ: dict[str, Any]) -> bool:
        """Read the whole body, so that the next request of the connection can be read; False if it is cut off."""
        if environ.pop("wsgi.input_terminated", False):
            return self._read_chunks(environ)
        declared = environ.get("CONTENT_LENGTH") or "0"
        if not (declared.isascii() and declared.isdigit() and len(declared) < 16):
            # It is not known where the next request begins.
            declared = "0"
            self.close_connection = True
        environ["CONTENT_LENGTH"] = declared
        length = int(declared)
        if length > MAX_BODY_BYTES:
            self._skip_body(environ)
            return True
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            self.close_connection = True
            return False
        environ["wsgi.input"] = io.BytesIO(body)
        return True

    def _read_chunks(self, environ: dict[str, Any]) -> bool:
        """Read a chunked body, up to the limit. The connection is closed afterwards, against request smuggling.

        To the application and the request log it looks like a body with a Content-Length.
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
            self._skip_body(environ)
        else:
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["wsgi.input"] = io.BytesIO(body)
        return True

    def _skip_body(self, environ: dict[str, Any]) -> None:
        """Leave the body unread; the application sees from its length that it is too large."""
        environ[_UNREAD] = self.close_connection = True
        environ["CONTENT_LENGTH"] = str(MAX_BODY_BYTES + 1)
        environ["wsgi.input"] = io.BytesIO()

    # -- the response -----------------------------------------------------------------------------------

    def _head(self, status: str, headers: Headers, *extra: tuple[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in (*headers, *extra)]
        if self.close_connection:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _send_response(self, status: str, headers: Headers, chunks: Iterable[bytes]) -> None:
        has_length = any(name.lower() == "content-length" for name, _ in headers)
        has_no_body = self.command == "HEAD" or status[:3] in {"204", "304"}
        if has_length or has_no_body:
            # One write for headers and body: two packets would wait for each other's acknowledgement.
            self.wfile.write(self._head(status, headers) + b"".join(chunks))
        elif self.request_version == "HTTP/1.0":
            self._send_until_close(status, headers, chunks)
        else:
            self._send_chunked(status, headers, chunks)

    def _send_until_close(self, status: str, headers: Headers, chunks: Iterable[bytes]) -> None:
        self.close_connection = True
        self.wfile.write(self._head(status, headers))
        for chunk in chunks:
            self.wfile.write(chunk)

    def _send_chunked(self, status: str, headers: Headers, chunks: Iterable[bytes]) -> None:
        self.wfile.write(self._head(status, headers, ("Transfer-Encoding", "chunked")))
        for chunk in chunks:
            if chunk:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    # -- response faults --------------------------------------------------------------------------------

    def _send_faulty_response(self, fault: ResponseFault, status: str, headers: Headers, body: bytes) -> None:
        self.close_connection = True
        if fault.kind is FaultKind.HALF:
            self.wfile.write(self._head(status, headers) + body[: len(body) // 2])
        elif fault.kind is FaultKind.RESET:
            # Closing with a linger time of zero sends RST. The socket is closed when `rfile` is closed too.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self._hang(fault.interrupted or threading.Event())

    def _hang(self, interrupted: threading.Event) -> None:
        """Send nothing until the time is over, the client closes, or the sandbox is reset or ends."""
        self.connection.setblocking(False)
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline and not interrupted.wait(_POLL_S):
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return
            except BlockingIOError:
                continue

    def _drain(self) -> None:
        """Read what the client still sends; otherwise it would get a TCP reset instead of the response."""
        deadline, size = time.monotonic() + _DRAIN_S, 0
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_DRAIN_S)
            while time.monotonic() < deadline and size < _DRAIN_BYTES:
                data = self.connection.recv(65_536)
                if not data:
                    return
                size += len(data)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing, because a request line contains numbers."""
