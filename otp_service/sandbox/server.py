"""Runs the sandbox on a socket: `serve` is for a process, `SandboxServer` for a thread of one (tests)."""

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
from otp_service.sandbox.handler import BACKLOG, Server
from otp_service.sandbox.seeds import SandboxSender

__all__ = ["CannotListenError", "SandboxSender", "SandboxServer", "serve"]

_POLL_S = 0.02


class CannotListenError(OSError):
    """The address cannot be listened on; the message is one sentence for the person at the shell."""


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
        self._server = Server(self._listener, create_app(self.carrier))
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
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        said = error.strerror if isinstance(error, OSError) else None
        reason = "the port is taken by another program" if taken else said or str(error)
        raise CannotListenError(f"The sandbox cannot listen on {host} port {port}: {reason}.") from None
    return listener


def decode_seed(text: str) -> bytes:
    """The 32-byte seed that `seed_b64` spells; `ValueError` for anything else."""
    seed = base64.b64decode(text, validate=True)
    if len(seed) != 32:
        raise ValueError(f"the signing seed must be 32 bytes, not {len(seed)}")
    return seed
