"""How new connections are taken from a socket that several processes listen on, so that each has about as many.

The loop's own server takes one connection a turn. A burst then waits for long, and the process that wakes first has
them all. Here a process takes many at once, but leaves them to the others for a moment while it has more than they.
"""

import asyncio
import socket
from collections.abc import Callable, MutableSequence

AT_ONCE = 64
"""New connections before the loop turns to the others again."""

LEFT_S = 0.01
"""How long they are left to the other processes. Some that are still there then are taken: the others are busy."""

AFTER_LEFT = 4
REST_S = 0.05
"""Until the next look where the system can give no connection, for lack of descriptors or memory."""

_GONE = 1 << 30
"""The count of a process that takes no more."""


class ProcessShare:
    """How many connections this process has beside the other processes of the service.

    `counts`: shared memory of them all, a number for each process; `own`: the place of this one.
    """

    def __init__(self, counts: MutableSequence[int], own: int) -> None:
        self._counts = counts
        self._own = own

    def may_take(self, connections: int) -> bool:
        """Whether one more is for this process, which has so many now."""
        self._counts[self._own] = connections
        fewest = min(self._counts)
        return connections <= fewest + fewest // 8

    def leave(self) -> None:
        """This process takes no more; the others do not wait for it."""
        self._counts[self._own] = _GONE


class Acceptor:
    """Takes connections from one listening socket. For the running event loop.

    `connections`: how many this process has.
    """

    def __init__(
        self,
        listening: socket.socket,
        new_protocol: Callable[[], asyncio.Protocol],
        share: ProcessShare,
        connections: Callable[[], int],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        listening.setblocking(False)
        self._listening = listening
        self._new_protocol = new_protocol
        self._share = share
        self._connections = connections
        self._opening: set[asyncio.Task[object]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._take)

    async def close(self) -> None:
        """Take those that the system has accepted already, and no more. Closing alone would reset them."""
        self._stop_watching()
        self._share.leave()
        while self._accepted():
            pass
        self._stop_watching()
        self._listening.close()
        if self._opening:
            await asyncio.wait(self._opening)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            if not self._share.may_take(self._connections() + len(self._opening)):
                self._look_again_in(LEFT_S)
                return
            if not self._accepted():
                return

    def _take_what_was_left(self) -> None:
        self._loop.add_reader(self._listening, self._take)
        for _ in range(AFTER_LEFT):
            if not self._accepted():
                return

    def _accepted(self) -> bool:
        """Take one, if there is one."""
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionError):
            # Another process, or the caller, was faster.
            return False
        except OSError:
            self._look_again_in(REST_S)
            return False
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        return True

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._new_protocol, connection)
        except OSError:
            # The caller has gone.
            connection.close()

    def _look_again_in(self, seconds: float) -> None:
        self._stop_watching()
        self._again = self._loop.call_later(seconds, self._take_what_was_left)

    def _stop_watching(self) -> None:
        self._loop.remove_reader(self._listening)
        if self._again:
            self._again.cancel()
