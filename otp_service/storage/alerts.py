"""Alerts that wait to be sent to the people on call, and which troubles they got one about lately."""

import hashlib

from ..domain.alert import Alert
from .answering import answering
from .schema import Keys
from .schema.encodings import AlertEntry
from .scripts import Scripts
from .store import Store

QUIET_MS = 3_600_000
RETRY_MS = 30_000
TOO_OLD_MS = 900_000
MOST_WAITING = 50
MOST_YIELDING = 30
"""Alerts that yield find no place beyond so many: the rest is for those of the carrier."""


class Alerts:
    """The alerts of one store."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._client = store.client
        self._scripts = scripts
        self._keys = keys

    def raise_alert(self, trouble: str, text: str, *, yields: bool = False) -> bool:
        """Queue an alert, unless one about the same trouble was queued within the hour. Raises StoreUnavailable.

        One that `yields` leaves places for others.
        """
        digest = hashlib.sha256(trouble.encode()).hexdigest()[:16]
        keys = {"alerts": self._keys.alerts(), "alert_quiet": self._keys.alert_quiet(digest)}
        most = MOST_YIELDING if yields else MOST_WAITING
        reply = self._scripts.call("alert/raise", keys, digest=digest, text=text, quiet_ms=QUIET_MS, most_waiting=most)
        return bool(reply)

    def claim(self) -> Alert | None:
        """The next alert to send; it comes again after a while unless acknowledged. Raises StoreUnavailable."""
        keys = {"alerts": self._keys.alerts()}
        entry = str(self._scripts.call("alert/claim", keys, retry_ms=RETRY_MS, too_old_ms=TOO_OLD_MS))
        return Alert(*AlertEntry.parse(entry)) if entry else None

    def acknowledge(self, alert: Alert) -> None:
        """It was sent, or never can be. Raises StoreUnavailable."""
        with answering():
            self._client.zrem(self._keys.alerts(), AlertEntry.pack(alert.id, alert.text))
