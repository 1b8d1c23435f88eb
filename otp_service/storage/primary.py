"""Connection pools that stay with the primary.

A managed store, a virtual address or Sentinel may put another server behind the same name, and a demoted server goes on
answering reads. So a connection asks its server for its role (ROLE) when it is made and, while it is used, at least
every `ROLE_CHECK_S`. A server that is no primary, or that answers READONLY, ends all connections of the pool; the next
one is made anew, and with it the address is looked up again. What is read from a server in the moment of its demotion
is therefore at most `ROLE_CHECK_S` old.

A user of the store that may not call ROLE is not checked; READONLY is noticed all the same.
"""

import time
from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ResponseError
from redis.sentinel import SentinelConnectionPool

ROLE_CHECK_S = 1.0
_NEVER_AGAIN = float("inf")


class _StaysWithPrimary(ConnectionPool):
    """What both kinds of pools do. Safe for many threads."""

    def make_connection(self) -> Any:
        """A new connection, which checks the role of its server whenever it connects."""
        connection: Any = super().make_connection()
        connection.role_checked_at = 0.0
        connection.register_connect_callback(self._check_role)
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

    def _check_role(self, connection: Any) -> None:
        try:
            connection.send_command("ROLE")
            role = connection.read_response()[0]
        except NoPermissionError:
            connection.role_checked_at = _NEVER_AGAIN
            return
        except ResponseError as error:
            connection.disconnect()
            raise RedisConnectionError("The server does not tell its role.") from error
        if role not in ("master", b"master"):
            connection.disconnect()
            self.drop()
            raise RedisConnectionError("The server is not the primary.")
        connection.role_checked_at = time.monotonic()


class PrimaryPool(_StaysWithPrimary):
    """For a server with an address of its own, or a name behind which servers change."""


class SentinelPrimaryPool(_StaysWithPrimary, SentinelConnectionPool):
    """For a service that Sentinel watches: every new connection asks the sentinels where the primary is."""
