"""Connection pools that stay with the primary.

A managed store, a virtual address or Sentinel may put another server behind the same name, and a demoted server goes on
answering reads. So a connection looks at its server's role when it is made and, while it is used, at least every
`ROLE_CHECK_S`. A server that is no primary, or that answers READONLY, ends all connections of the pool; the next
one is made anew, and with it the address is looked up again. What is read from a server in the moment of its demotion
is therefore at most `ROLE_CHECK_S` old. A server that refuses because it has too few replicas, or is loading, may have
a successor: then the address is looked up again, `ROLE_CHECK_S` apart at least.

A primary that is cut off does not know that another one was chosen. Where sentinels watch it, they say so
(`sentinels`), and all connections end at once.

The role stands in the answer to HELLO. That needs no right that an operator takes away from a service, unlike ROLE and
INFO, which are "dangerous". Of a server without HELLO only READONLY is noticed.
"""

import contextlib
import socket
import time
from typing import Any

import redis
from redis.connection import ConnectionPool
from redis.exceptions import BusyLoadingError, MasterDownError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from .breaker import Breaker
from .sentinels import Sentinels

ROLE_CHECK_S = 1.0
_NEVER_AGAIN = float("inf")


class _StaysWithPrimary(ConnectionPool):
    """What both kinds of pools do. Safe for many threads."""

    _doubted_at = 0.0

    def make_connection(self) -> Any:
        """A new connection, which checks the role of its server whenever it connects."""
        connection: Any = super().make_connection()
        connection.role_checked_at = 0.0
        connection.register_connect_callback(self._greeted)
        return connection

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection to a server that was the primary `ROLE_CHECK_S` ago at most. Raises redis' ConnectionError."""
        connection: Any = super().get_connection(*args, **options)
        if time.monotonic() - connection.role_checked_at >= ROLE_CHECK_S:
            try:
                connection.retry.call_with_retry(
                    lambda: self._check_role(connection), lambda _error: connection.disconnect()
                )
            except BaseException:
                self.release(connection)
                raise
        return connection

    def drop(self) -> None:
        """End the connections: idle ones now, the others when they come back."""
        with self._lock:
            self.update_active_connections_for_reconnect()
            self.disconnect_free_connections()

    def noticed(self, error: Exception) -> None:
        """A server of this pool answered this: look the address up again if it may be the primary no more."""
        if isinstance(error, ReadOnlyError):
            self.drop()
        elif is_doubtful(error) and time.monotonic() - self._doubted_at >= ROLE_CHECK_S:
            self._doubted_at = time.monotonic()
            self.drop()

    def _greeted(self, connection: Any) -> None:
        # redis-py itself has said HELLO, unless the URL asks for an old protocol.
        self._judge(connection, connection.handshake_metadata or self._hello(connection))

    def _check_role(self, connection: Any) -> None:
        self._judge(connection, self._hello(connection))

    def _hello(self, connection: Any) -> Any:
        try:
            connection.send_command("HELLO")
            return connection.read_response()
        except ResponseError:
            return None

    def _judge(self, connection: Any, hello: Any) -> None:
        role = _role(hello)
        if role is not None and role != "master":
            connection.disconnect()
            self.drop()
            raise RedisConnectionError("The server is not the primary.")
        connection.role_checked_at = time.monotonic() if role is not None else _NEVER_AGAIN


def _role(hello: Any) -> str | None:
    """The role in an answer to HELLO: a list of names and values, or a mapping; None if it tells none."""
    if isinstance(hello, list):
        hello = dict(zip(hello[::2], hello[1::2], strict=False))
    found = {_text(name): value for name, value in hello.items()} if isinstance(hello, dict) else {}
    return _text(found["role"]) if "role" in found else None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class PrimaryPool(_StaysWithPrimary):
    """For a server with an address of its own, or a name behind which servers change."""


class SentinelPrimaryPool(_StaysWithPrimary, SentinelConnectionPool):
    """For a service that Sentinel watches: connections go where the sentinels say that the primary is."""

    def __init__(self, sentinels: Sentinels, retry: Retry, **options: Any) -> None:
        super().__init__(sentinels.service, sentinels, retry=retry, **options)  # type: ignore[no-untyped-call]
        self.sentinels = sentinels
        self._retry = retry
        sentinels.follow(self.leave)

    def leave(self) -> None:
        """The primary is another server: end all connections now, also under those who wait for the old one."""
        self.drop()
        with self._lock:
            connections = list(self._get_in_use_connections())  # type: ignore[no-untyped-call]
        for connection in connections:
            _interrupt(connection)
        if isinstance(self._retry, Breaker):
            self._retry.forgive()


def _interrupt(connection: Any) -> None:
    """End the exchange under way on another thread's connection: it fails there as a lost connection does."""
    sock = getattr(connection, "_sock", None)
    if sock is not None:
        with contextlib.suppress(OSError):
            # Of the socket below TLS, whose own state belongs to the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def is_doubtful(error: Exception) -> bool:
    """Whether the server takes no part at present, so that another one may be the primary by now."""
    return isinstance(error, (BusyLoadingError, MasterDownError)) or str(error).startswith("NOREPLICAS")


def noticed(client: "redis.Redis", error: Exception) -> None:
    """As `noticed` of the client's pool, for an error among the replies of a pipeline."""
    pool = client.connection_pool
    if isinstance(pool, _StaysWithPrimary):
        pool.noticed(error)
