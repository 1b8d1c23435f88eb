"""Connection pools that stay with the primary.

A managed store, a virtual address or Sentinel may put another server behind the same name, and a demoted server goes on
answering reads. So a connection looks at its server's role when it is made and, while it is used, at least every
`ROLE_CHECK_S`. A server that is no primary, or that answers READONLY, ends all connections of the pool; the next
one is made anew, and with it the address is looked up again. What is read from a server in the moment of its demotion
is therefore at most `ROLE_CHECK_S` old.

The role stands in the answer to HELLO. That needs no right that an operator takes away from a service, unlike ROLE and
INFO, which are "dangerous". Of a server without HELLO only READONLY is noticed.
"""

import time
from collections.abc import Mapping
from typing import Any

import redis
from redis.connection import ConnectionPool
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.sentinel import SentinelConnectionPool

ROLE_CHECK_S = 1.0
_NEVER_AGAIN = float("inf")


class _StaysWithPrimary(ConnectionPool):
    """What both kinds of pools do. Safe for many threads."""

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
    """For a service that Sentinel watches: every new connection asks the sentinels where the primary is."""


def drop_demoted(client: "redis.Redis") -> None:
    """End the connections of a client whose server answered READONLY."""
    pool = client.connection_pool
    if isinstance(pool, _StaysWithPrimary):
        pool.drop()


class AskedSentinel(redis.Redis):
    """A sentinel. If it wants a password and none is given for it, that of the servers (`otherwise`) is tried."""

    def __init__(self, host: str, port: int, otherwise: Mapping[str, Any], **options: Any) -> None:
        super().__init__(host=host, port=port, **options)
        self._otherwise = {} if options.get("password") else dict(otherwise)

    def sentinel_masters(self) -> Any:
        """What it knows of its primaries. Raises redis' errors."""
        try:
            return super().sentinel_masters()
        except AuthenticationError:
            if not self._otherwise:
                raise
            self.connection_pool.connection_kwargs.update(self._otherwise)
            self._otherwise = {}
            self.connection_pool.reset()
            return super().sentinel_masters()
