"""Wrong codes and approvals of each app in the last hour, over all processes, and what follows from them."""

import hashlib

from ..domain.guessing import BUCKET_MS, HOLD_MS, WINDOW_MS, GuessingRule, GuessingState, Level
from .schema import Keys
from .scripts import Scripts


class Guesses:
    """The guesses of one store."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def count(self, app: str, rule: GuessingRule, wrong: int, approved: int) -> GuessingState:
        """Count so many guesses of the app, or look (0 and 0). Raises StoreUnavailable."""
        # Beside the audit record, where a change is put in the same step.
        shard = self._keys.shard(hashlib.sha256(app.encode()).hexdigest())
        reply = self._scripts.call(
            "guesses/count",
            {"guesses": self._keys.guesses(shard, app), "audit": self._keys.audit(shard)},
            repeat=False,
            app=app,
            wrong=wrong,
            approved=approved,
            least=rule.wrong_codes,
            per_approval=str(rule.per_approval),
            window_ms=WINDOW_MS,
            bucket_ms=BUCKET_MS,
            hold_ms=HOLD_MS,
        )
        level, all_wrong, all_approved, before = (int(part) for part in reply)
        return GuessingState(Level(level), all_wrong, all_approved, Level(before))
