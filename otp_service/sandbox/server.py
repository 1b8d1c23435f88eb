"""Runs the sandbox on a socket: `serve` in a process of its own, `SandboxServer` in a thread (for tests)."""

from __future__ import annotations

import base64
import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.clock import Clock
from otp_service.sandbox.seeds import SandboxSender
from otp_service.sandbox.socket_server import BACKLOG, SocketServer

__all__ = ["CannotListenError", "SandboxSender", "SandboxServer", "serve"]

_POLL_S = 0.02


class CannotListenError(OSError):
    """The sandbox cannot listen on the address; the message is one sentence for the operator."""


class SandboxServer:
    """A sandbox on a socket, in threads of this process. Port 0 takes a free one.

    `url` is without a trailing slash; the carrier's API is under `{url}/v2`. Construction binds the port
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
        self._server = SocketServer(self._listener, create_app(self.carrier))
        bound_host, bound_port = self._listener.getsockname()[:2]
        self.url = f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"
        self._thread: threading.Thread | None = None

    @property
    def public_key_b64(self) -> str:
        """The public webhook key, base64, for the service's configuration."""
        return self.carrier.signer.public_key_b64

    @property
    def seed_b64(self) -> str:
        """The seed of the webhook key, base64."""
        return self.carrier.signer.seed_b64

    def start(self) -> Self:
        """Serve in a background thread."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="sandbox-server", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and close all connections; may be called twice."""
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
    """Serve until SIGTERM or SIGINT, then return; `on_ready` is called with the URL as soon as requests are served.

    Signal handlers are installed only in the main thread, and restored at the end. In another thread this never
    returns.
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
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        text = error.strerror if isinstance(error, OSError) else None
        reason = "the port is taken by another program" if taken else text or str(error)
        raise CannotListenError(f"The sandbox cannot listen on {host} port {port}: {reason}.") from None
    return listener


def decode_seed(text: str) -> bytes:
    """The 32-byte seed from its base64; `ValueError` for anything else."""
    seed = base64.b64decode(text, validate=True)
    if len(seed) != 32:
        raise ValueError(f"the signing seed must be 32 bytes, not {len(seed)}")
    return seed
