"""Alerts that wait to be sent to the people on call, and which troubles they have heard of lately."""

import hashlib

from ..domain.operation import Alarm
from .answering import answering
from .client import Store
from .schema import Keys
from .scripts import Scripts

QUIET_MS = 3_600_000
AGAIN_MS = 30_000
TOO_OLD_MS = 900_000
MOST_WAITING = 50


class Alarms:
    """The alerts of one store."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._client = store.client
        self._scripts = scripts
        self._keys = keys

    def raise_alert(self, trouble: str, text: str) -> bool:
        """Queue an alert, unless one about the same trouble was queued within the hour. Raises StoreUnavailable."""
        digest = hashlib.sha256(trouble.encode()).hexdigest()[:16]
        keys = [self._keys.alarms(), self._keys.alarm_quiet(digest)]
        return bool(self._scripts.run("alarm", keys, [digest, text, QUIET_MS, MOST_WAITING]))

    def claim(self) -> Alarm | None:
        """The next alert to send; it is handed out again after a while unless `done`. Raises StoreUnavailable."""
        found = str(self._scripts.run("claim_alarm", [self._keys.alarms()], [AGAIN_MS, TOO_OLD_MS]))
        alarm_id, mark, text = found.partition("\x1f")
        return Alarm(alarm_id, text) if mark else None

    def acknowledge(self, alarm: Alarm) -> None:
        """It was sent, or never can be. Raises StoreUnavailable."""
        with answering():
            self._client.zrem(self._keys.alarms(), f"{alarm.id}\x1f{alarm.text}")
