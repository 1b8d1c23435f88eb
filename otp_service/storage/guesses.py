"""Wrong codes and approvals of each app in the last hour, over all processes, and what follows from them."""

import hashlib
from collections.abc import Sequence
from typing import Any

from ..domain.errors import StoreUnavailable
from ..domain.guessing import BUCKET_MS, HOLD_MS, WINDOW_MS, GuessingState, Level, NewGuesses
from .schema import Keys
from .script_files import Value
from .scripts import Scripts


class Guesses:
    """The guesses of one store."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def count(self, new: Sequence[NewGuesses]) -> list[GuessingState | StoreUnavailable]:
        """Count guesses of these apps, all in one round trip; the state of each, or that its shard does not answer."""
        calls = [(self._keys_of(one.app), _arguments(one)) for one in new]
        replies = self._scripts.call_together("guesses/count", calls, repeat=False) if calls else []
        return [reply if isinstance(reply, StoreUnavailable) else _state(reply) for reply in replies]

    def _keys_of(self, app: str) -> dict[str, str]:
        # Beside the audit record, where a change is put in the same step.
        shard = self._keys.shard(hashlib.sha256(app.encode()).hexdigest())
        return {"guesses": self._keys.guesses(shard, app), "audit": self._keys.audit(shard)}


def _arguments(one: NewGuesses) -> dict[str, Value]:
    return {
        "app": one.app,
        "wrong": one.wrong,
        "approved": one.approved,
        "least": one.rule.wrong_codes,
        "per_approval": str(one.rule.per_approval),
        "window_ms": WINDOW_MS,
        "bucket_ms": BUCKET_MS,
        "hold_ms": HOLD_MS,
    }


def _state(reply: Any) -> GuessingState:
    level, wrong, approved, before = (int(part) for part in reply)
    return GuessingState(Level(level), wrong, approved, Level(before))
