"""Which verification of a number this process believes to be the latest, so that a script gets the right keys at once.

Another process may have started a newer one. So this is a guess: a script that is called with it compares it with the
store and names the newer one, which costs a second call and nothing else.
"""

import threading

from ..domain.ids import Reference

MOST = 10_000
"""Entries that are kept; the oldest go first."""

_Place = tuple[str, str, str]


class LatestHints:
    """The latest verification by number hash, app and purpose. Safe for many threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: dict[_Place, Reference] = {}

    def get(self, number_hash: str, app: str, purpose: str) -> Reference | None:
        """What is believed; None where nothing is known."""
        return self._known.get((number_hash, app, purpose))

    def put(self, app: str, purpose: str, ref: Reference) -> None:
        """This one is the latest of its number."""
        with self._lock:
            self._known.pop((ref.number_hash, app, purpose), None)
            self._known[ref.number_hash, app, purpose] = ref
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
