"""A system of an operator's that answers questions of the risk hook, on loopback."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from otp_service.domain.callback import Endpoint
from otp_service.domain.risk import RiskHook

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ALLOW: dict[str, object] = {"decision": "allow"}


@dataclass
class RiskReceiver:
    """What it answers, and what it was asked. While `hangs` is set it answers nothing."""

    port: int = 0
    status: int = 200
    answer: object = field(default_factory=lambda: ALLOW)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    closes: bool = False
    hangs: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def questions(self) -> list[Any]:
        """The bodies."""
        return [json.loads(body) for _, body in self.asked]

    def hook(self, **changes: Any) -> RiskHook:
        """A hook that asks it; with time enough for a slow machine."""
        url = f"http://127.0.0.1:{self.port}/risk"
        return RiskHook(**{"endpoint": Endpoint(url, (SECRET,), True), "timeout_ms": 10_000, **changes})

    def body(self) -> bytes:
        """The answer as it is sent."""
        return self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and which nobody else can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def risk_receiver(handler: type[BaseHTTPRequestHandler] | None = None) -> Iterator[RiskReceiver]:
    """One on a free port. `handler`: another program in its place."""
    receiver = RiskReceiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.asked.append(({name.lower(): value for name, value in self.headers.items()}, body))
            receiver.connections.add(self.client_address[1])
            if receiver.hangs.is_set():
                receiver.released.wait(300)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            answer = receiver.body()
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            self.close_connection = receiver.closes

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Who hung up wants no answer."""

    with Server(("127.0.0.1", 0), handler or Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()
