"""The way to one server: a connection that is made again by itself, and nobody who waits for a server that is down.

While the first connection is being made, or one that was lost is made again, commands wait for it. Once a try to
connect has failed, commands are refused at once, and a try is made every `PAUSE_S`, until one succeeds. So a server
that hangs costs a request its own time-out and a short try to connect at most, and later ones nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError

from ..breaker import PAUSE_S
from ..connect import TIMEOUT_S
from ..packing import packed
from ..primary import ROLE_CHECK_S, is_doubtful
from ..unsent import UnsentError
from .connection import Connection, Done
from .servers import Address, Login, open_connection, require_primary

AFTER_TIMEOUT_S = 0.25
"""For connecting anew to a server that has just answered nothing in time: whoever waited for it is refused sooner."""

_HELLO = packed(("HELLO",))
_log = logging.getLogger("otp.store")


class Link:
    """Sends commands to the server that `find` names. Use it in one event loop only.

    `checks_role`: while it is used, the server must say every `ROLE_CHECK_S` that it is the primary.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        find: Callable[[], Awaitable[Address]],
        login: Login,
        *,
        checks_role: bool,
    ) -> None:
        self._loop = loop
        self._find = find
        self._login = login
        self._checks_role = checks_role
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting: list[tuple[bytes, Done]] = []
        self._refuses = False
        self._closed = False
        self._role_checked_at = 0.0
        self._opened_at = 0.0
        self._patience_s = TIMEOUT_S

    @property
    def refuses(self) -> bool:
        """Whether the server could not be reached a moment ago, so that commands are refused at once."""
        return self._refuses

    def send(self, command: bytes, done: Done) -> None:
        """Send a command. Raises redis' ConnectionError while the server cannot be reached."""
        connection = self._connection
        if connection is None or not connection.is_open:
            self._wait_for_connection(command, done)
            return
        if self._checks_role and self._loop.time() - self._role_checked_at >= ROLE_CHECK_S:
            self._role_checked_at = self._loop.time()
            connection.send(_HELLO, self._judge)
        connection.send(command, done)

    def drop(self) -> None:
        """End the connection: its server is the primary no more. The next one looks the address up again."""
        if self._connection is not None:
            self._connection.abort(RedisConnectionError("The server is not the primary."))

    def noticed(self, error: Exception) -> None:
        """The server answered this: connect anew if it may be the primary no more (`primary`)."""
        is_old = self._loop.time() - self._opened_at >= ROLE_CHECK_S
        if isinstance(error, ReadOnlyError) or (is_doubtful(error) and is_old):
            self.drop()

    def look_again(self) -> None:
        """The primary is another server now: connect anew at once, whatever was tried before."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        self._refuses = False
        self.drop()
        self._connect()

    def close(self) -> None:
        """End the connection for good."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        self.drop()
        self._refuse_waiting()

    def _wait_for_connection(self, command: bytes, done: Done) -> None:
        if self._refuses or self._closed:
            raise UnsentError("The store cannot be reached.")
        self._waiting.append((command, done))
        self._connect()

    def _connect(self) -> None:
        is_open = self._connection is not None and self._connection.is_open
        if self._connecting is None and not is_open and not self._closed:
            self._connecting = self._loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            patience_s, self._patience_s = self._patience_s, TIMEOUT_S
            async with asyncio.timeout(patience_s):
                self._connection = await open_connection(await self._find(), self._login, self._lost)
        except (OSError, RedisError) as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for a connection that never comes
            _log.error("unexpected", exc_info=True)
            self._failed(error)
        else:
            self._opened()

    def _opened(self) -> None:
        if self._connection is None or not self._connection.is_open:
            # It has ended between the greeting and now. Who waits must not wait again and again.
            self._failed(RedisConnectionError("The connection to the store was lost."))
            return
        self._connecting, self._refuses = None, False
        self._opened_at = self._role_checked_at = self._loop.time()
        waiting, self._waiting = self._waiting, []
        for command, done in waiting:
            self._send_or_fail(command, done)

    def _send_or_fail(self, command: bytes, done: Done) -> None:
        try:
            self.send(command, done)
        except RedisError as error:
            done(error)

    def _failed(self, error: Exception) -> None:
        if not self._refuses:
            _log.warning("the store cannot be reached", extra={"reason": type(error).__name__})
        self._connecting, self._refuses = None, True
        self._loop.call_later(PAUSE_S, self._connect)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for _, done in waiting:
            done(UnsentError("The store cannot be reached."))

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None
            if connection.has_timed_out:
                self._patience_s = AFTER_TIMEOUT_S
            if self._loop.time() - self._opened_at >= PAUSE_S:
                self._connect()
            # Otherwise the next command does: a server that ends every connection would get them without end.

    def _judge(self, hello: Any) -> None:
        try:
            require_primary(hello)
        except RedisConnectionError:
            self.drop()
