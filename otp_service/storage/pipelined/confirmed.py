"""Commands whose writes must reach replicas: a command, and WAIT behind it, on connections that serve nothing else.

A connection that waits in the store runs nothing that is sent after it. So what is confirmed goes over links of its
own, and a link that waits takes no more. What comes meanwhile goes to another link; when all wait, it is collected and
leaves with the next one, with a single WAIT for all of it. So many requests at once cost few connections and few WAITs.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from ..packing import packed
from .link import Link

LINKS = 4
"""Connections to one server that may wait at the same time. Those that are not needed are never made."""

Confirmed = Callable[[Any, Any], Any]
"""Called once, by the loop, with the command's reply and how many replicas have it; each may be an exception."""


@dataclass(frozen=True, slots=True)
class _Command:
    packed: bytes
    wait: tuple[int, int]
    """How many replicas, and for how many milliseconds they are waited for."""

    done: Confirmed
    mark: bytes
    """A write that is sent behind it, or nothing."""


class ConfirmedLinks:
    """The links to one server for commands that are confirmed. Use it in one event loop only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, new_link: Callable[[], Link]) -> None:
        self._loop = loop
        self._new_link = new_link
        self._links: list[Link] = []
        self._idle: list[Link] = []
        self._queue: list[_Command] = []
        self._flushes = False

    @property
    def refuses(self) -> bool:
        """Whether the server could not be reached a moment ago."""
        return any(link.refuses for link in self._links)

    def send(self, command: bytes, replicas: int, timeout_ms: int, done: Confirmed, mark: bytes = b"") -> None:
        """Run a command and wait until so many replicas have what it wrote, or the time is over."""
        self._queue.append(_Command(command, (replicas, timeout_ms), done, mark))
        if not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._flush)

    def noticed(self, error: Exception) -> None:
        """The server answered this: as `Link.noticed`."""
        for link in self._links:
            link.noticed(error)

    def look_again(self) -> None:
        """The primary is another server now: connect anew at once."""
        for link in self._links:
            link.look_again()

    def close(self) -> None:
        """End the connections for good."""
        for link in self._links:
            link.close()

    def _flush(self) -> None:
        self._flushes = False
        while self._queue and (link := self._free_link()) is not None:
            _Batch(link, self._next_commands(), self._idle_again).send()

    def _free_link(self) -> Link | None:
        if self._idle:
            return self._idle.pop()
        if len(self._links) >= LINKS:
            return None
        self._links.append(self._new_link())
        return self._links[-1]

    def _next_commands(self) -> list[_Command]:
        """Those that wait for the same: one WAIT must not be longer than a command wants."""
        wait = self._queue[0].wait
        taken = [command for command in self._queue if command.wait == wait]
        self._queue = [command for command in self._queue if command.wait != wait]
        return taken

    def _idle_again(self, link: Link) -> None:
        self._idle.append(link)
        self._flush()


class _Batch:
    """Commands that leave in one write, and one WAIT behind them."""

    def __init__(self, link: Link, commands: list[_Command], ended: Callable[[Link], None]) -> None:
        self._link = link
        self._commands = commands
        self._ended = ended
        self._replies: list[Any] = [None] * len(commands)
        self._mark: Any = None

    def send(self) -> None:
        """Send it. The replies come when the WAIT is over."""
        for at, command in enumerate(self._commands):
            self._send(command.packed, partial(self._answered, at))
        marks = [command.mark for command in self._commands if command.mark]
        if marks:
            # The last write counts: one is enough.
            self._send(marks[-1], self._marked)
        self._send(packed(("WAIT", *self._commands[0].wait)), self._waited)

    def _send(self, command: bytes, done: Callable[[Any], None]) -> None:
        try:
            self._link.send(command, done)
        except RedisError as error:
            done(error)

    def _answered(self, at: int, reply: Any) -> None:
        self._replies[at] = reply

    def _marked(self, reply: Any) -> None:
        self._mark = reply

    def _waited(self, replicas: Any) -> None:
        self._ended(self._link)
        if isinstance(self._mark, RedisError):
            replicas = self._mark
        for command, reply in zip(self._commands, self._replies, strict=True):
            command.done(reply, replicas)
