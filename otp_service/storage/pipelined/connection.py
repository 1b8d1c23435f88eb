"""One connection to one server: commands leave together, replies come in the same order.

Guaranteed here: every command that was accepted gets exactly one answer, a reply or an error. If the oldest command has
no reply in time, the connection is given up, since any later reply on it would be taken for another's.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..connect import TIMEOUT_S
from .errors import reply_error

Done = Callable[[Any], Any]
"""Called once, by the loop, with the reply or the exception."""

_NOTHING = object()
_LAST_LOOK_S = 0.01


class Connection(asyncio.Protocol):
    """A connection in an event loop. `lost` is called when it has ended, after every command got its error."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: "Callable[[Connection], None]") -> None:
        self._loop = loop
        self._lost = lost
        self._reader = hiredis.Reader(
            encoding="utf-8", errors="surrogateescape", replyError=reply_error, notEnoughData=_NOTHING
        )
        self._transport: asyncio.Transport | None = None
        self._unanswered: deque[tuple[Done, float]] = deque()
        self._unsent: list[bytes] = []
        self._watching = False
        self._late: tuple[Done, float] | None = None
        """The oldest command, if its time is over. If this process was held up, its reply may lie there unread."""
        self._failure: Exception = RedisConnectionError("The connection to the store was lost.")

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None

    @property
    def has_timed_out(self) -> bool:
        """Whether it was given up because the server did not answer in time."""
        return isinstance(self._failure, RedisTimeoutError)

    def send(self, packed: bytes, done: Done) -> None:
        """Send a command. Raises redis' ConnectionError if the connection has ended."""
        if self._transport is None:
            raise self._failure
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        self._unanswered.append((done, self._loop.time()))
        if not self._watching:
            self._watching = True
            self._loop.call_later(TIMEOUT_S, self._watch)

    def abort(self, reason: Exception) -> None:
        """End the connection now; every command that has no reply fails with the reason."""
        transport, self._transport = self._transport, None
        self._failure = reason
        if transport is not None:
            transport.abort()

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport is not None:
            self._transport.write(data)

    def _watch(self) -> None:
        """Look at the oldest command. One timer for all: a timer for each would cost more than the command."""
        self._watching = False
        if not self._unanswered or self._transport is None:
            return
        oldest = self._unanswered[0]
        left = oldest[1] + TIMEOUT_S - self._loop.time()
        if left <= 0 and oldest is self._late:
            self.abort(RedisTimeoutError("The store does not answer in time."))
            return
        self._late = oldest if left <= 0 else None
        self._watching = True
        self._loop.call_later(left if left > 0 else _LAST_LOOK_S, self._watch)

    # ---- called by the loop ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Give each reply to the command that it answers."""
        unanswered = self._unanswered
        self._reader.feed(data)
        while (reply := self._next()) is not _NOTHING:
            if not unanswered:
                self.abort(RedisConnectionError("The store sent more than it was asked."))
                return
            unanswered.popleft()[0](reply)
        if not unanswered and self._reader.has_data():
            # The beginning of a reply that nobody asked for would become that of the next command.
            self.abort(RedisConnectionError("The store sent more than it was asked."))

    def _next(self) -> Any:
        try:
            return self._reader.gets()
        except hiredis.ProtocolError:
            self.abort(RedisConnectionError("The store's answer cannot be read."))
            return _NOTHING

    def connection_lost(self, exc: Exception | None) -> None:
        """Every command that waits fails: nobody knows whether it ran."""
        self._transport = None
        while self._unanswered:
            self._unanswered.popleft()[0](self._failure)
        self._lost(self)
