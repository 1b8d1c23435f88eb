"""A small HTTP server beside the API or a worker: `/metrics` for Prometheus and `/healthz` for its supervisor.

It asks for no key: counters name senders and apps, never people. So it listens on the loopback unless told otherwise,
and else belongs into a network of its own. Programs that follow the audit log find its checkpoint and hashes here.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from ..domain.errors import ServiceError
from . import ports

if TYPE_CHECKING:
    from ..web.http import Reply

TIMEOUT_S = 5.0
"""For a request to arrive and for its response to be taken."""

BACKLOG = 16

Pages = Callable[[str], "Reply | None"]
"""What else is shown, by its path. May raise ServiceError."""


_TEXT = "text/plain; charset=utf-8"


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S
    server: "MetricsServer"

    def do_GET(self) -> None:
        """Answer a request."""
        from .. import telemetry  # noqa: PLC0415 - after the metrics directory is set

        if self.path == "/healthz":
            self._answer(200, "application/json", b'{"status":"ok"}')
        elif self.path == "/metrics":
            self._answer(200, telemetry.TEXT_FORMAT, self.server.text())
        else:
            self._show(self.path)

    def _show(self, path: str) -> None:
        try:
            page = self.server.pages(path)
        except ServiceError as error:
            self._answer(503, _TEXT, f"{error.detail}\n".encode())
            return
        if page is None:
            self._answer(404, _TEXT, b"There are /metrics, /healthz and /audit/log/checkpoint.\n")
        else:
            self._answer(page.status, page.headers["Content-Type"], page.body, page.headers.get("Cache-Control", ""))

    def _answer(self, status: int, media: str, body: bytes, caching: str = "") -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", media)
        if caching:
            self.send_header("Cache-Control", caching)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged of these requests."""


class MetricsServer(ThreadingHTTPServer):
    """Answers on a socket that listens; several processes may share it. `text` gives all metrics, `pages` the rest."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, text: Callable[[], bytes], pages: Pages) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        # Another process may be quicker to accept, and then this one must not wait.
        listening.setblocking(False)
        self.socket, self.text, self.pages = listening, text, pages

    def start(self) -> None:
        """Answer in a thread from now on."""
        Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """A caller who went away concerns nobody."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises PortTaken."""
    return ports.listen(host, port, BACKLOG, "--metrics-port")


@contextlib.contextmanager
def serving_metrics(host: str, port: int | None, pages: Pages = lambda _: None) -> Iterator[None]:
    """Serve in a thread until the end of the block; nothing if `port` is None. Raises PortTaken."""
    if port is None:
        yield
        return
    with MetricsServer(listen(host, port), _own_text, pages) as server:
        server.start()
        try:
            yield
        finally:
            server.shutdown()


def _own_text() -> bytes:
    from .. import telemetry  # noqa: PLC0415 - after the metrics directory is set

    return telemetry.metrics_text()
