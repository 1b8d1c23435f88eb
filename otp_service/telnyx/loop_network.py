"""How httpcore reaches the carrier from work in an event loop: its steps suspend the work instead of a thread.

httpcore itself is the same as in threads. Names are resolved in a thread, since the system's resolver blocks:
one for all who ask for the same name at that time, since many connections are opened at once when traffic grows.
"""

import asyncio
import contextlib
import errno
import ipaddress
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import httpcore

from .. import greenlets
from ..connections import Deadline
from .connection import addresses_of

T = TypeVar("T")
_Resume = Callable[[Sequence[str] | Exception | None], Any]
_BLOCKED = (BlockingIOError, ssl.SSLWantReadError)

JOINED_S = 0.5
"""How long those who ask for the same name wait for one answer. After that the question itself may be lost."""


@dataclass(slots=True)
class _Question:
    """A name that the system's resolver was asked for, and who waits for its addresses."""

    asked_at: float
    waiting: list[Callable[[Sequence[str] | Exception], None]] = field(default_factory=list)


class LoopNetwork(httpcore.NetworkBackend):
    """Connects and resolves names for work that `greenlets.start` began in this loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, ask: Callable[[str, int], Sequence[str]] = addresses_of
    ) -> None:
        """`ask` gives the addresses of a host. It may block, and runs in a thread."""
        self._loop = loop
        self._ask_system = ask
        self._questions: dict[tuple[str, int], _Question] = {}

    def resolve(self, host: str, port: int, deadline: Deadline, timeout: float | None) -> Sequence[str]:
        """The host's addresses. Raises OSError, and httpcore.ConnectTimeout if it takes too long."""
        if _is_address(host):
            return [host]
        left = deadline.left(timeout, httpcore.ConnectTimeout)
        found: Sequence[str] | Exception | None = greenlets.wait(partial(self._begin_resolve, (host, port), left))
        if found is None:
            raise httpcore.ConnectTimeout("the name server is too slow")
        if isinstance(found, Exception):
            raise found
        return found

    def _begin_resolve(self, name: tuple[str, int], left: float, resume: "_Resume") -> None:
        is_settled = False

        def settle(found: Sequence[str] | Exception | None) -> None:
            nonlocal is_settled
            if not is_settled:
                is_settled = True
                late.cancel()
                resume(found)

        late = self._loop.call_later(left, settle, None)
        question = self._questions.get(name)
        if question is None or self._loop.time() - question.asked_at > JOINED_S:
            self._questions[name] = question = _Question(self._loop.time())
            threading.Thread(target=self._ask, args=(name, question), name="resolve", daemon=True).start()
        question.waiting.append(settle)

    def _ask(self, name: tuple[str, int], question: "_Question") -> None:
        found = _asked(partial(self._ask_system, *name))
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._answered, name, question, found)

    def _answered(self, name: tuple[str, int], question: "_Question", found: Sequence[str] | Exception) -> None:
        if self._questions.get(name) is question:
            del self._questions[name]
        for settle in question.waiting:
            settle(found)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to an address. Raises httpcore's errors."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for option in socket_options or ():
                sock.setsockopt(*option)
            if local_address is not None:
                sock.bind((local_address, 0))
            self._connect(sock, (host, port), timeout)
        except TimeoutError as error:
            sock.close()
            raise httpcore.ConnectTimeout("the server does not answer") from error
        except OSError as error:
            sock.close()
            raise httpcore.ConnectError(str(error)) from error
        return _LoopStream(self._loop, sock)

    def _connect(self, sock: socket.socket, address: tuple[str, int], timeout: float | None) -> None:
        if sock.connect_ex(address) != errno.EINPROGRESS:
            sock.getpeername()  # raises what went wrong
            return
        _wait(self._loop, sock, timeout, writable=True)
        failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))


class _LoopStream(httpcore.NetworkStream):
    """A connection whose steps suspend the work that takes them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._has_asked = False
        """Whether something was sent since the last read: then no answer is here yet, and one more step finds none."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is."""
        try:
            nothing_yet = self._has_asked and not (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending())
            self._has_asked = False
            return self._until_ready(lambda: self._sock.recv(max_bytes), timeout, not_yet=nothing_yet)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("the server does not answer in time") from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        rest = memoryview(buffer)
        try:
            while rest:
                rest = rest[self.send_some(rest, timeout) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout("the server reads too slowly") from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def send_some(self, data: memoryview, timeout: float | None) -> int:
        """Write as much as fits; the number of bytes. Raises TimeoutError and OSError."""
        self._has_asked = True
        return self._until_ready(lambda: self._sock.send(data), timeout, writes=True)

    def _until_ready(
        self, step: Callable[[], T], timeout: float | None, *, writes: bool = False, not_yet: bool = False
    ) -> T:
        until = None if timeout is None else self._loop.time() + timeout
        if not_yet:
            _wait(self._loop, self._sock, timeout, writable=False)
        while True:
            try:
                return step()
            except ssl.SSLWantWriteError:
                writable = True
            except _BLOCKED as error:
                # TLS may have to read before it can write.
                writable = writes and not isinstance(error, ssl.SSLWantReadError)
            _wait(self._loop, self._sock, None if until is None else until - self._loop.time(), writable=writable)

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """TLS handshake with the host by its name."""
        try:
            wrapped = ssl_context.wrap_socket(
                self._sock, server_hostname=server_hostname, do_handshake_on_connect=False
            )
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(str(error)) from error
        stream = _LoopStream(self._loop, wrapped)
        try:
            stream._until_ready(wrapped.do_handshake, timeout)
        except TimeoutError as error:
            stream.close()
            raise httpcore.ConnectTimeout("the handshake takes too long") from error
        except OSError as error:
            stream.close()
            raise httpcore.ConnectError(str(error)) from error
        return stream

    def get_extra_info(self, info: str) -> Any:
        """What the socket knows."""
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        if info == "client_addr":
            return self._sock.getsockname()
        if info == "server_addr":
            return self._sock.getpeername()
        if info == "socket":
            return self._sock
        return _is_readable(self._sock) if info == "is_readable" else None


def _is_address(host: str) -> bool:
    """Whether there is nothing to resolve."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _asked(ask: Callable[[], Sequence[str]]) -> Sequence[str] | Exception:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        return error


def _is_readable(sock: socket.socket) -> bool:
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _wait(loop: asyncio.AbstractEventLoop, sock: socket.socket, timeout: float | None, *, writable: bool) -> None:
    """Suspend the work until the socket is ready. Raises TimeoutError."""
    if not greenlets.wait(partial(_begin_wait, loop, sock, timeout, writable=writable)):
        raise TimeoutError("the time is over")


def _begin_wait(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    timeout: float | None,
    resume: Callable[[bool], Any],
    *,
    writable: bool,
) -> None:
    watch, ignore = (loop.add_writer, loop.remove_writer) if writable else (loop.add_reader, loop.remove_reader)

    def ended(is_ready: bool) -> None:
        ignore(sock)
        if timer is not None:
            timer.cancel()
        resume(is_ready)

    timer = None if timeout is None else loop.call_later(max(timeout, 0), ended, False)
    watch(sock, ended, True)
