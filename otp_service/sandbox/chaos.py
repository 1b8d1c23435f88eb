"""How the carrier misbehaves, until told otherwise: the settings, their defaults, their validation, their merge.

`PUT` merges key by key into what is set; a part that is left out keeps its value. `senders` holds overrides for
one sender each, themselves partial; `null` for a sender removes its override. Beside the contract's keys there
is `rates.enforce`: whether senders keep to the carrier's own sending rates (off by default, so that load tests
measure the service and not the queue; on, a message above the rate is held and told so in `wait_seconds`).
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SEND_MODES = ("ok", "http_500", "http_429", "timeout", "reset_after_request", "half_body", "slow")
OUTCOMES = ("delivered", "delivery_failed", "sending_failed", "delivery_unconfirmed", "none")
MAX_SENDER_OVERRIDES = 1000


class ChaosError(ValueError):
    """A setting that cannot be used; the message names its key."""


@dataclass(frozen=True, slots=True)
class SendChaos:
    """What happens to the share `rate` of the requests that send."""

    mode: str
    latency_ms: int
    rate: float


@dataclass(frozen=True, slots=True)
class DeliveryChaos:
    """How a message ends, `delay_ms` after it was sent."""

    outcome: str
    error_code: str
    delay_ms: int


@dataclass(frozen=True, slots=True)
class WebhookChaos:
    """How events are posted."""

    duplicate: int
    reorder: bool
    early: bool
    forge_rate: float
    drop_rate: float


@dataclass(frozen=True, slots=True)
class Behaviour:
    """All settings as they hold for one sender."""

    send: SendChaos
    delivery: DeliveryChaos
    webhooks: WebhookChaos
    wait_seconds: float
    enforce_rates: bool


Check = Callable[[str, object], object]


def _choice(allowed: tuple[str, ...]) -> Check:
    def check(key: str, value: object) -> object:
        if value not in allowed or not isinstance(value, str):
            raise ChaosError(f"{key} must be one of {', '.join(allowed)}")
        return value

    return check


def _number(low: float, high: float, *, whole: bool = False) -> Check:
    def check(key: str, value: object) -> object:
        kind = "a whole number" if whole else "a number"
        wrong = isinstance(value, bool) or not isinstance(value, int if whole else (int, float))
        if wrong or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type,operator]
            raise ChaosError(f"{key} must be {kind} from {low:g} to {high:g}")
        return value

    return check


def _flag(key: str, value: object) -> object:
    if not isinstance(value, bool):
        raise ChaosError(f"{key} must be true or false")
    return value


def _error_code(key: str, value: object) -> object:
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 6):
        raise ChaosError(f"{key} must be a string of at most six digits")
    return value


_HOUR_MS = 3_600_000
_SCHEMA: Mapping[str, Mapping[str, Check] | Check] = {
    "send": {
        "mode": _choice(SEND_MODES),
        "latency_ms": _number(0, 60_000, whole=True),
        "rate": _number(0, 1),
    },
    "delivery": {
        "outcome": _choice(OUTCOMES),
        "error_code": _error_code,
        "delay_ms": _number(0, _HOUR_MS, whole=True),
    },
    "webhooks": {
        "duplicate": _number(1, 100, whole=True),
        "reorder": _flag,
        "early": _flag,
        "forge_rate": _number(0, 1),
        "drop_rate": _number(0, 1),
    },
    "wait_seconds": _number(0, 14_400),
    "rates": {"enforce": _flag},
}

DEFAULTS: Mapping[str, Any] = {
    "send": {"mode": "ok", "latency_ms": 0, "rate": 1.0},
    "delivery": {"outcome": "delivered", "error_code": "40008", "delay_ms": 50},
    "webhooks": {"duplicate": 1, "reorder": False, "early": False, "forge_rate": 0.0, "drop_rate": 0.0},
    "wait_seconds": 0,
    "rates": {"enforce": False},
}


def _checked(patch: object, prefix: str = "") -> dict[str, Any]:
    """`patch` if every key is known and every value usable."""
    if not isinstance(patch, dict):
        raise ChaosError(f"{prefix.rstrip('.') or 'the body'} must be a JSON object")
    clean: dict[str, Any] = {}
    for key, value in patch.items():
        rule = _SCHEMA.get(key)
        if rule is None:
            raise ChaosError(f"{prefix}{key} is not a setting; known are {', '.join([*_SCHEMA, 'senders'])}")
        if callable(rule):
            clean[key] = rule(prefix + key, value)
            continue
        if not isinstance(value, dict):
            raise ChaosError(f"{prefix}{key} must be a JSON object")
        clean[key] = {}
        for name, item in value.items():
            check = rule.get(name)
            if check is None:
                raise ChaosError(f"{prefix}{key}.{name} is not a setting; known are {', '.join(rule)}")
            clean[key][name] = check(f"{prefix}{key}.{name}", item)
    return clean


def _merge(into: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(into))
    for key, value in patch.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def _behaviour(tree: Mapping[str, Any]) -> Behaviour:
    return Behaviour(
        send=SendChaos(**tree["send"]),
        delivery=DeliveryChaos(**tree["delivery"]),
        webhooks=WebhookChaos(**tree["webhooks"]),
        wait_seconds=float(tree["wait_seconds"]),
        enforce_rates=tree["rates"]["enforce"],
    )


class ChaosBook:
    """The settings in force. Reading is lock-free: a change replaces whole mappings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Back to the defaults: a carrier that behaves."""
        self._base: dict[str, Any] = _merge(DEFAULTS, {})
        self._senders: dict[str, dict[str, Any]] = {}
        self._publish()

    def of(self, sender: str | None) -> Behaviour:
        """The behaviour that holds for `sender` (a number, short code or name)."""
        return self._by_sender.get(sender or "", self._default)

    def merge(self, patch: object) -> dict[str, Any]:
        """Apply `patch` as a whole or, with a `ChaosError`, not at all; returns what is now set."""
        if not isinstance(patch, dict):
            raise ChaosError("the body must be a JSON object")
        base = _checked({key: value for key, value in patch.items() if key != "senders"})
        senders = self._checked_senders(patch.get("senders", {}))
        with self._lock:
            overrides = dict(self._senders)
            for sender, override in senders.items():
                if override is None:
                    overrides.pop(sender, None)
                else:
                    overrides[sender] = _merge(overrides.get(sender, {}), override)
            if len(overrides) > MAX_SENDER_OVERRIDES:
                raise ChaosError(f"senders must have at most {MAX_SENDER_OVERRIDES} entries")
            self._base = _merge(self._base, base)
            self._senders = overrides
            self._publish()
        return self.describe()

    def describe(self) -> dict[str, Any]:
        """What is set, overrides included."""
        return copy.deepcopy({**self._base, "senders": self._senders})

    @staticmethod
    def _checked_senders(given: object) -> dict[str, dict[str, Any] | None]:
        if not isinstance(given, dict):
            raise ChaosError("senders must be a JSON object")
        checked: dict[str, dict[str, Any] | None] = {}
        for sender, override in given.items():
            if not 1 <= len(sender) <= 20:
                raise ChaosError("senders must be keyed by a number, a short code or a sender name")
            checked[sender] = None if override is None else _checked(override, f"senders.{sender}.")
        return checked

    def _publish(self) -> None:
        self._default = _behaviour(self._base)
        self._by_sender = {
            sender: _behaviour(_merge(self._base, override)) for sender, override in self._senders.items()
        }
