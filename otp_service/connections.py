"""Connections on which one deadline covers a whole exchange: the name, connecting, TLS, every byte written or read.

httpcore counts its timeouts for each piece. A server that sends one byte at a time, or `100 Continue` for ever, never
meets them.

The system's resolver has time limits of its own (some ten seconds by default), which cannot be shortened. It is asked
in a thread that is waited for no longer than the deadline.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import httpcore


@dataclass(slots=True)
class Deadline:
    """When the exchange under way has to be over, in seconds of the monotonic clock.

    `requested` False: nothing of the request is written yet, and nothing may have come from the server.
    """

    at: float
    requested: bool = True

    def begin(self, span_s: float) -> None:
        """A new exchange on the same connection."""
        self.at = time.monotonic() + span_s
        self.requested = False

    def left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        """The seconds that a step may take; raises `late` when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise late("the time is over")
        return left if timeout is None else min(left, timeout)


@runtime_checkable
class SendsSome(Protocol):
    """A stream that writes in another way than its socket does by itself."""

    def send_some(self, data: memoryview, timeout: float | None) -> int:
        """Write as much as fits; the number of bytes. Raises TimeoutError and OSError."""
        ...


class TimedStream(httpcore.NetworkStream):
    """A stream on which every step ends at the deadline at the latest."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self._sends = stream.send_some if isinstance(stream, SendsSome) else None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is."""
        return self._stream.read(max_bytes, self._deadline.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it. Raises httpcore.ConnectError if the server sent something before the request."""
        sock = self._stream.get_extra_info("socket")
        if not self._deadline.requested:
            self._deadline.requested = True
            if _has_sent(sock):
                self.close()
                raise httpcore.ConnectError("the server sent something before the request")
        rest = memoryview(buffer)
        while rest:  # httpcore's own loop gives each piece the whole time
            left = self._deadline.left(timeout, httpcore.WriteTimeout)
            try:
                rest = rest[self._send_some(sock, rest, left) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout("the server reads too slowly") from error
            except OSError as error:
                raise httpcore.WriteError("the connection is broken") from error

    def _send_some(self, sock: Any, data: memoryview, timeout: float) -> int:
        if self._sends is not None:
            return self._sends(data, timeout)
        sock.settimeout(timeout)
        return int(sock.send(data))

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """TLS handshake with the host by its name."""
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        return TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What the socket knows."""
        return self._stream.get_extra_info(info)


class Connects(Protocol):
    """Opens connections, as an httpcore.NetworkBackend does."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to an address. Raises httpcore's errors."""
        ...


def resolve_within(ask: Callable[[], Sequence[str]], deadline: Deadline, timeout: float | None) -> Sequence[str]:
    """The addresses that `ask` finds. Raises what it raises, and httpcore.ConnectTimeout if it takes too long."""
    found: Future[Sequence[str]] = Future()

    def run() -> None:
        try:
            found.set_result(ask())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)

    left = deadline.left(timeout, httpcore.ConnectTimeout)
    threading.Thread(target=run, name="resolve", daemon=True).start()
    try:
        return found.result(left)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("the name server is too slow") from error


def connect(
    under: Connects,
    addresses: Sequence[str],
    port: int,
    deadline: Deadline,
    each_s: float | None,
    *,
    local_address: str | None = None,
    socket_options: Iterable[Any] | None = None,
) -> TimedStream:
    """Connect to the first of the addresses that answers, `each_s` seconds for each. Raises httpcore's errors."""
    failure: Exception = httpcore.ConnectError("no address")
    for address in addresses:
        left = deadline.left(each_s, httpcore.ConnectTimeout)
        try:
            return TimedStream(under.connect_tcp(address, port, left, local_address, socket_options), deadline)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            failure = error
    raise failure


def _has_sent(sock: Any) -> bool:
    """Whether data or the end has come. TLS's own messages (tickets) are no data."""
    try:
        sock.settimeout(0)
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True
