"""Runs the sandbox on a socket: keep-alive, threads, and every mishap that only a socket can have.

Nothing is logged: request paths hold phone numbers. `serve` is for a process, `SandboxServer` for tests.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import io
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from types import FrameType, TracebackType
from typing import Any, Self

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from otp_service.sandbox.app import MAX_BODY_BYTES, create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.clock import Clock
from otp_service.sandbox.seeds import SandboxSender
from otp_service.sandbox.wire import ENVIRON_KEY, HANG_S, Mishap, Wire

__all__ = ["CannotListenError", "SandboxSender", "SandboxServer", "serve"]

_IDLE_S = 75
_POLL_S = 0.02
_LINGER_S = 1.0
_LINGER_BYTES = 16_000_000


class CannotListenError(OSError):
    """The address cannot be listened on; the message is one sentence for the person at the shell."""


class _Handler(WSGIRequestHandler):
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


class _Server(ThreadedWSGIServer):
    """One daemon thread per connection; knows its connections, so that closing leaves none open."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, listener: socket.socket, app: Any) -> None:
        host, port = listener.getsockname()[:2]
        self._live: set[socket.socket] = set()
        self._live_lock = threading.Lock()
        super().__init__(host, port, app, _Handler, fd=listener.fileno())

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


class SandboxServer:
    """A sandbox on a socket, in threads of this process. Port 0 takes a free one.

    `url` is without a trailing slash; the carrier's API is under `{url}/v2`. Constructing it takes the port
    (`CannotListenError` if that fails), `start` serves, `close` ends everything within a second.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        webhook_url: str | None = None,
        api_key: str | None = None,
        signing_seed: bytes | None = None,
        senders: Sequence[SandboxSender] = (),
        clock: Clock | None = None,
    ) -> None:
        self.carrier = Carrier(
            webhook_url=webhook_url, api_key=api_key, signing_seed=signing_seed, senders=senders, clock=clock
        )
        self._listener = _listen(host, port)
        self._server = _Server(self._listener, create_app(self.carrier))
        bound_host, bound_port = self._listener.getsockname()[:2]
        self.url = f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"
        self._thread: threading.Thread | None = None

    @property
    def public_key_b64(self) -> str:
        """The webhook key as the service is configured with it."""
        return self.carrier.signer.public_key_b64

    @property
    def seed_b64(self) -> str:
        """The webhook key's seed, base64."""
        return self.carrier.signer.seed_b64

    def start(self) -> Self:
        """Serve in a background thread."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="sandbox-server", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and drop all connections; may be called twice."""
        self.carrier.close()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.drop_connections()
        self._server.server_close()
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(
    *,
    host: str,
    port: int,
    webhook_url: str | None,
    api_key: str | None,
    signing_seed: bytes | None,
    senders: Sequence[SandboxSender] = (),
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return; `on_ready` gets the URL once requests are answered.

    Signal handlers are installed in the main thread only (and put back); elsewhere this never returns.
    """
    stop = threading.Event()
    server = SandboxServer(
        host=host,
        port=port,
        webhook_url=webhook_url,
        api_key=api_key,
        signing_seed=signing_seed,
        senders=senders,
    )
    with server, _stopping_on_signals(stop):
        if on_ready is not None:
            on_ready(server.url)
        stop.wait()


@contextlib.contextmanager
def _stopping_on_signals(stop: threading.Event) -> Any:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_: int, __: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_Server.request_queue_size)
    except (OSError, OverflowError) as error:
        listener.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "the port is taken by another program" if taken else str(error)
        raise CannotListenError(f"The sandbox cannot listen on {host} port {port}: {reason}.") from None
    return listener


def decode_seed(text: str) -> bytes:
    """The 32-byte seed that `seed_b64` spells; `ValueError` for anything else."""
    seed = base64.b64decode(text, validate=True)
    if len(seed) != 32:
        raise ValueError(f"the signing seed must be 32 bytes, not {len(seed)}")
    return seed
