"""Messaging profiles that have spent their day's money: nothing goes out by them before midnight UTC.

The mark lasts an hour at most: an operator who raises the limit at the carrier is noticed without telling us, for the
price of one refused message an hour.
"""

import time

from redis.exceptions import RedisError

from ..domain.errors import StoreUnavailable
from .client import Store
from .keys import Keys

LONGEST_MS = 3_600_000
DAY_MS = 86_400_000
KNOWN_FOR_S = 1.0
"""How long an answer of the store is believed: workers ask before every send."""


class Stops:
    """The stopped profiles of one store. Safe for many threads."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._client = store.client
        self._keys = keys
        self._known: dict[str, tuple[float, bool]] = {}

    def stop(self, profile: str) -> None:
        """Send nothing more by this profile today. Raises StoreUnavailable."""
        try:
            seconds, _ = self._client.time()
            left_ms = DAY_MS - int(seconds) * 1000 % DAY_MS
            self._client.set(self._keys.stopped(profile), "1", px=min(left_ms, LONGEST_MS))
        except RedisError as error:
            raise StoreUnavailable("The store does not answer.") from error
        self._known[profile] = (time.monotonic(), True)

    def stopped(self, profile: str) -> bool:
        """Whether nothing is to be sent by this profile now, as of a second ago. Raises StoreUnavailable."""
        looked, was = self._known.get(profile, (0.0, False))
        if time.monotonic() - looked < KNOWN_FOR_S:
            return was
        try:
            now = bool(self._client.exists(self._keys.stopped(profile)))
        except RedisError as error:
            raise StoreUnavailable("The store does not answer.") from error
        self._known[profile] = (time.monotonic(), now)
        return now
