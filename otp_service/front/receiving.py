"""Requests that are still arriving: for how long one may, and how many at once.

A request that comes as a whole is none of them. One that comes in pieces has `DEADLINE_S` for all of it, however many
bytes come in between; so has a new connection for its first byte. If too many are arriving, the oldest is given up:
slow senders lose their places to one another, and requests that come as a whole lose nothing.
"""

import asyncio
from typing import Protocol

DEADLINE_S = 10.0
RECEIVING = 1024
"""Requests of one process that may be arriving. Each holds its headers and at most 64 kB of its body."""

OPENED = 65_536
"""Connections of one process on which nothing has come yet."""

HEAD_MAX = 64 * 1024
"""Bytes of a request line with its headers, and of what comes between or after the parts of a chunked body."""

LAST_REQUESTS_S = 1.0
"""For requests that are on their way when a process takes no more connections; never longer than its drain."""

_LOOK_S = 0.5


class Arriving(Protocol):
    """A connection on which a request is arriving."""

    def give_up(self) -> None:
        """Close it."""
        ...


class Receiving:
    """The requests of one process that are arriving. For one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline_s: float = DEADLINE_S, most: int = RECEIVING) -> None:
        self._loop = loop
        self._deadline_s = deadline_s
        self._most = most
        self._since: dict[Arriving, float] = {}
        self._looking = False

    def begin(self, arriving: Arriving) -> None:
        """A request has begun to arrive and is not here yet."""
        if arriving in self._since:
            return
        if len(self._since) >= self._most:
            self._give_up(next(iter(self._since)))
        self._since[arriving] = self._loop.time()
        if not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_S, self._look)

    def end(self, arriving: Arriving) -> None:
        """It is here, or its connection has ended."""
        self._since.pop(arriving, None)

    def _look(self) -> None:
        """Give up what is late: the oldest stands first."""
        late_since = self._loop.time() - self._deadline_s
        for arriving in [one for one, since in self._since.items() if since <= late_since]:
            self._give_up(arriving)
        self._looking = bool(self._since)
        if self._looking:
            self._loop.call_later(_LOOK_S, self._look)

    def _give_up(self, arriving: Arriving) -> None:
        self._since.pop(arriving, None)
        arriving.give_up()
