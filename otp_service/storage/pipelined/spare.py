"""Connections for commands that wait in the store: what is sent behind such a command on its connection waits too."""

from collections.abc import Callable

from .link import Link

MOST = 64
"""Links to one server at most; with more requests at once some of them wait behind others."""


class SpareLinks:
    """Links to one server, each for one request at a time."""

    def __init__(self, make: Callable[[], Link]) -> None:
        self._make = make
        self._all: list[Link] = []
        self._free: list[Link] = []
        self._next = 0

    def take(self) -> Link:
        """A link that nobody uses, if there may be one more."""
        if self._free:
            return self._free.pop()
        if len(self._all) < MOST:
            self._all.append(self._make())
            return self._all[-1]
        self._next = (self._next + 1) % MOST
        return self._all[self._next]

    def give_back(self, link: Link) -> None:
        """The request is over."""
        if link not in self._free:
            self._free.append(link)

    def drop(self) -> None:
        """End all connections: their server is the primary no more."""
        for link in self._all:
            link.drop()

    def close(self) -> None:
        """End them for good."""
        for link in self._all:
            link.close()
