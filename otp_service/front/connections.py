"""How many connections a process has, and which one closes where there is no room for a new one.

Only the number of descriptors that the system allows bounds them (`allow_descriptors`). Where that is nearly reached
the address with most idle connections loses the one that has been idle for longest; where none is idle, a request that
is still arriving is given up; never the new one. So a thousand idle connections stop nothing, and cost another address
none of its own.
"""

import contextlib
import resource
from typing import Protocol

from .receiving import Receiving
from .shares import Largest

RESERVED = 256
"""Descriptors for the store's connections, the log, files, and what the threads open."""

MOST = 65_536
"""Connections of one process, however many the system allows: an idle one takes some 7 kB of memory."""

_LEAST = 16


class Idle(Protocol):
    """A connection without a request."""

    def close_idle(self) -> None:
        """Close it."""
        ...


class Connections:
    """The open connections of one process. For one event loop.

    `peer` is the address that a connection comes from, the same in each call for it.
    """

    def __init__(self, most: int, receiving: Receiving) -> None:
        self._most = most
        self._receiving = receiving
        self._open: set[Idle] = set()
        self._idle: dict[str, dict[Idle, None]] = {}
        """Of each address that has connections, the one that has been idle for longest first."""
        self._largest = Largest()

    def opened(self, one: Idle, peer: str) -> None:
        """A new one. Another closes if they are too many."""
        if len(self._open) >= self._most:
            self._make_room()
        self._open.add(one)
        self.idle(one, peer)

    def busy(self, one: Idle, peer: str) -> None:
        """A request begins on it."""
        idle = self._idle.get(peer)
        if idle is not None:
            idle.pop(one, None)

    def idle(self, one: Idle, peer: str) -> None:
        """Its requests are answered."""
        if one in self._open:
            idle = self._idle.get(peer)
            if idle is None:
                idle = self._idle[peer] = {}
            idle[one] = None
            self._largest.has(peer, len(idle))

    def closed(self, one: Idle, peer: str) -> None:
        """It has ended, or is about to."""
        self._open.discard(one)
        idle = self._idle.get(peer)
        if idle is not None:
            idle.pop(one, None)
            if not idle:
                del self._idle[peer]
                self._largest.forget(peer)

    def _make_room(self) -> None:
        peer = self._largest.find(lambda owner: len(self._idle[owner]))
        if peer is None:
            self._receiving.make_room()
            return
        longest = next(iter(self._idle[peer]))
        self.closed(longest, peer)
        longest.close_idle()


def allow_descriptors() -> None:
    """Let this process have as many descriptors as the system allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + RESERVED if hard == resource.RLIM_INFINITY else hard
    # Some systems refuse what they call allowed; then it stays as it is.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_allowed() -> int:
    """How many connections this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(_LEAST, min(MOST, soft - RESERVED))
