"""Requests that are still arriving: for how long one may, and how much of them is held at once.

A request that comes as a whole is none of them. One that comes in pieces has `DEADLINE_S` for all of it, however many
bytes come in between. If too many are arriving, or too many bytes of them are held, who holds most of it loses the
oldest: an app, where the request names a key of it that is known, otherwise the address it comes from. So slow senders
lose their places to one another, and requests that come as a whole lose nothing.
"""

import asyncio
from typing import Protocol

from .deadlines import Deadlines
from .shares import Largest

DEADLINE_S = 10.0
SEND_S = 30.0
"""For a caller to read what is sent: a response, or the 64 kB of several that are under way."""

RECEIVING = 4096
"""Requests of one process that may be arriving."""

BYTES = 64 * 1024 * 1024
"""Bytes of one process that may be held of them. One has at most some 64 kB of headers and 64 kB of body."""

LAST_REQUESTS_S = 1.0
"""For requests that are on their way when a process takes no more connections; never longer than its drain."""


class Arriving(Protocol):
    """A connection on which a request is arriving."""

    def give_up(self) -> None:
        """Close it."""
        ...


class _Share:
    """What one app or address holds: bytes of each, the oldest first."""

    def __init__(self) -> None:
        self.sizes: dict[Arriving, int] = {}
        self.bytes = 0


class Receiving:
    """The requests of one process that are arriving. For one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deadline_s: float = DEADLINE_S,
        most: int = RECEIVING,
        most_bytes: int = BYTES,
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._deadlines: Deadlines[Arriving] = Deadlines(loop, deadline_s, self._give_up)
        self._owners: dict[Arriving, str] = {}
        self._shares: dict[str, _Share] = {}
        self._largest = Largest()
        self._bytes = 0

    def hold(self, arriving: Arriving, owner: str, size: int) -> None:
        """So many bytes of a request are here, and it is not complete. The owner may change as more is known."""
        self._deadlines.begin(arriving)
        if self._owners.get(arriving, owner) != owner:
            self._remove(arriving)
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = _Share()
        # More bytes do not make it younger: its place among those of the owner stays.
        more = size - share.sizes.get(arriving, 0)
        share.sizes[arriving] = size
        share.bytes += more
        self._bytes += more
        self._owners[arriving] = owner
        self._largest.has(owner, self._weight(share))
        while self._bytes > self._most_bytes or len(self._owners) > self._most:
            self.make_room()

    def end(self, arriving: Arriving) -> None:
        """It is here, or its connection has ended."""
        if arriving in self._owners:
            self._deadlines.end(arriving)
            self._remove(arriving)

    def make_room(self) -> bool:
        """Give up the oldest request of who holds most; whether there was one."""
        largest = self._largest.find(lambda owner: self._weight(self._shares[owner]))
        if largest is None:
            return False
        self._give_up(next(iter(self._shares[largest].sizes)))
        return True

    def _weight(self, share: _Share) -> int:
        """Its part of the whole, by requests or by bytes, in requests."""
        return max(len(share.sizes), share.bytes * self._most // self._most_bytes)

    def _remove(self, arriving: Arriving) -> None:
        owner = self._owners.pop(arriving, None)
        if owner is None:
            return
        share = self._shares[owner]
        size = share.sizes.pop(arriving)
        share.bytes -= size
        self._bytes -= size
        if not share.sizes:
            del self._shares[owner]
            self._largest.forget(owner)

    def _give_up(self, arriving: Arriving) -> None:
        self.end(arriving)
        arriving.give_up()
