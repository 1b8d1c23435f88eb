"""The failure settings of the sandbox ("chaos"): their types, their defaults, and which values are allowed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SEND_MODES = ("ok", "http_500", "http_429", "timeout", "reset_after_request", "half_body", "slow")
OUTCOMES = ("delivered", "delivery_failed", "sending_failed", "delivery_unconfirmed", "none")
_HOUR_MS = 3_600_000


class ChaosError(ValueError):
    """A setting that is not allowed; the message names its key."""


@dataclass(frozen=True, slots=True)
class SendChaos:
    """What happens to the share `rate` of the requests to send."""

    mode: str
    latency_ms: int
    rate: float


@dataclass(frozen=True, slots=True)
class DeliveryChaos:
    """The final status of a message, `delay_ms` after it was sent."""

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
    """All settings that apply to one sender."""

    send: SendChaos
    delivery: DeliveryChaos
    webhooks: WebhookChaos
    wait_seconds: float
    enforce_rates: bool

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Behaviour:
        """Read complete settings, as `DEFAULTS` are."""
        return cls(
            send=SendChaos(**settings["send"]),
            delivery=DeliveryChaos(**settings["delivery"]),
            webhooks=WebhookChaos(**settings["webhooks"]),
            wait_seconds=float(settings["wait_seconds"]),
            enforce_rates=settings["rates"]["enforce"],
        )


DEFAULTS: Mapping[str, Any] = {
    "send": {"mode": "ok", "latency_ms": 0, "rate": 1.0},
    "delivery": {"outcome": "delivered", "error_code": "40008", "delay_ms": 50},
    "webhooks": {"duplicate": 1, "reorder": False, "early": False, "forge_rate": 0.0, "drop_rate": 0.0},
    "wait_seconds": 0,
    "rates": {"enforce": False},
}

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


_CHECKS: Mapping[str, Mapping[str, Check] | Check] = {
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


def checked(patch: object, prefix: str = "") -> dict[str, Any]:
    """`patch` if every key is known and every value allowed, else `ChaosError`."""
    if not isinstance(patch, dict):
        raise ChaosError(f"{prefix.rstrip('.') or 'the body'} must be a JSON object")
    return {key: _checked_entry(prefix, key, value) for key, value in patch.items()}


def _checked_entry(prefix: str, key: str, value: object) -> object:
    check = _CHECKS.get(key)
    if check is None:
        raise ChaosError(f"{prefix}{key} is not a setting; known are {', '.join([*_CHECKS, 'senders'])}")
    if callable(check):
        return check(prefix + key, value)
    if not isinstance(value, dict):
        raise ChaosError(f"{prefix}{key} must be a JSON object")
    return {name: _checked_item(check, f"{prefix}{key}", name, item) for name, item in value.items()}


def _checked_item(checks: Mapping[str, Check], part: str, name: str, value: object) -> object:
    check = checks.get(name)
    if check is None:
        raise ChaosError(f"{part}.{name} is not a setting; known are {', '.join(checks)}")
    return check(f"{part}.{name}", value)
