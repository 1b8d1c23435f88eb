"""A small HTTP server for a worker: `/metrics` for Prometheus, and `/healthz` for whoever supervises the process.

It asks for no key: counters name senders and apps, never people. So it listens on the loopback unless told otherwise,
and else belongs into a network of its own.
"""

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from threading import Thread

from . import ports

TIMEOUT_S = 5.0
"""For a request to arrive and for its response to be taken."""


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        """Answer a request."""
        from .. import telemetry  # noqa: PLC0415 - after the metrics directory is set

        if self.path == "/healthz":
            self._answer(200, "application/json", b'{"status":"ok"}')
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", telemetry.metrics_text())
        else:
            self._answer(404, "text/plain; charset=utf-8", b"There are /metrics and /healthz.\n")

    def _answer(self, status: int, media: str, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged of these requests."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A caller who went away concerns nobody."""


@contextlib.contextmanager
def serving_metrics(host: str, port: int | None) -> Iterator[None]:
    """Serve in a thread until the end of the block; nothing if `port` is None. Raises PortTaken."""
    if port is None:
        yield
        return
    address = ports.usable_address(host, port, "--metrics-port")
    server_class = type("_Server6", (_Server,), {"address_family": AF_INET6}) if ":" in address[0] else _Server
    with server_class(address, _Handler) as server:
        Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
