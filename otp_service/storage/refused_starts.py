"""Starts that are refused before the store judges them, on record. Those that it refuses are recorded by its script."""

import json
from collections.abc import Mapping

from ..domain.audit import EventType
from ..domain.starting import StartCommand
from .schema import Keys
from .scripts import Scripts

GAP_MS = 1_000
"""Of the refusals of one number and app, one in this time goes on record: callers must not fill it."""


class RefusedStarts:
    """The record of one store."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def record(self, command: StartCommand, detail: Mapping[str, str]) -> None:
        """Put a refusal on record. Raises StoreUnavailable."""
        number_hash, app = command.reference.number_hash, command.app.name
        shard = self._keys.shard(number_hash)
        throttle = self._keys.throttle(shard, f"{EventType.REFUSED}:{app}:{number_hash}")
        self._scripts.call(
            "audit/append",
            {"audit": self._keys.audit(shard), "throttle": throttle},
            event_type=EventType.REFUSED,
            detail=json.dumps(detail),
            throttle_ms=GAP_MS,
            app=app,
            mask=command.mask,
            number_hash=number_hash,
        )
