"""How many requests may be under way in one process's event loop."""

from ..domain.errors import NotReady

UNDER_WAY = 24_096
"""Requests that may be under way: those that wait for news, and some thousands that work."""


class Admission:
    """A request is under way inside (`with admission: …`). Raises NotReady at once for one too many.

    For the loop's one thread.
    """

    def __init__(self, most: int = UNDER_WAY) -> None:
        self._free = most

    def __enter__(self) -> None:
        if not self._free:
            raise NotReady("Too many requests are under way.")
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1
