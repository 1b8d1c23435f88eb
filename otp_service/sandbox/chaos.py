"""The failure settings in force, and their changes through `PUT /sandbox/chaos`.

`PUT` merges key by key into what is set; a key that is left out keeps its value. `senders` has overrides for
single senders, which may be partial too; `null` removes one. `rates.enforce` is an addition to the contract: when
true, senders keep to the carrier's sending rates and a message above the rate waits (`wait_seconds`). It is off by
default, so that a load test measures the service and not the queue.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from typing import Any

from otp_service.sandbox.chaos_settings import DEFAULTS, Behaviour, ChaosError, checked

MAX_SENDER_OVERRIDES = 1000


class ChaosSettings:
    """The settings in force. Reading takes no lock, because a change replaces whole mappings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Restore the defaults: no failures."""
        self._base: dict[str, Any] = _merge(DEFAULTS, {})
        self._senders: dict[str, dict[str, Any]] = {}
        self._apply()

    def for_sender(self, sender: str | None) -> Behaviour:
        """What applies to `sender` (a number, a short code or a name)."""
        return self._by_sender.get(sender or "", self._default)

    def merge(self, patch: object) -> dict[str, Any]:
        """Apply all of `patch` and return the settings; nothing is changed if it raises `ChaosError`."""
        if not isinstance(patch, dict):
            raise ChaosError("the body must be a JSON object")
        base = checked({key: value for key, value in patch.items() if key != "senders"})
        overrides = _checked_overrides(patch.get("senders", {}))
        with self._lock:
            self._senders = _with_overrides(self._senders, overrides)
            self._base = _merge(self._base, base)
            self._apply()
        return self.to_json()

    def to_json(self) -> dict[str, Any]:
        """The settings, with the overrides."""
        return copy.deepcopy({**self._base, "senders": self._senders})

    def _apply(self) -> None:
        self._default = Behaviour.from_settings(self._base)
        self._by_sender = {
            sender: Behaviour.from_settings(_merge(self._base, override)) for sender, override in self._senders.items()
        }


def _checked_overrides(given: object) -> dict[str, dict[str, Any] | None]:
    if not isinstance(given, dict):
        raise ChaosError("senders must be a JSON object")
    overrides: dict[str, dict[str, Any] | None] = {}
    for sender, override in given.items():
        if not 1 <= len(sender) <= 20:
            raise ChaosError("senders must be keyed by a number, a short code or a sender name")
        overrides[sender] = None if override is None else checked(override, f"senders.{sender}.")
    return overrides


def _with_overrides(
    senders: Mapping[str, dict[str, Any]], overrides: Mapping[str, dict[str, Any] | None]
) -> dict[str, dict[str, Any]]:
    changed = dict(senders)
    for sender, override in overrides.items():
        if override is None:
            changed.pop(sender, None)
        else:
            changed[sender] = _merge(changed.get(sender, {}), override)
    if len(changed) > MAX_SENDER_OVERRIDES:
        raise ChaosError(f"senders must have at most {MAX_SENDER_OVERRIDES} entries")
    return changed


def _merge(into: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(into))
    for key, value in patch.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged
