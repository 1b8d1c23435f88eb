"""The configuration as the record has it: without secrets, by its hash. Each event names the one that decided."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..config import Settings
from ..domain import phone
from ..domain.callback import Endpoint
from ..domain.canonical_json import canonical
from ..domain.errors import InvalidNumber
from ..domain.risk import RiskHook

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


def configuration_of(settings: Settings) -> dict[str, Any]:
    """Everything that decides about somebody, as a value of JSON. Numbers are masked, and secrets left out."""
    policy = settings.policy
    whole = {
        "apps": {name: _app(app) for name, app in policy.apps.items()},
        "senders": policy.senders,
        "per_number": policy.per_number,
        "limits": policy.limits,
        "prices": settings.prices,
        "retention": policy.retention,
        "audit_addresses": policy.audit_addresses,
        "audit_client_ips": policy.audit_client_ips,
        "service": {
            "public_url": settings.public_url,
            "issuer": settings.issuer,
            "shards": settings.shards,
            "queue_max": settings.queue_max,
            "optout_sync_ms": settings.optout_sync_ms,
            "audit_retention_ms": settings.audit_retention_ms,
            "audit_backlog_max": settings.audit_backlog_max,
            "keep_webhooks": settings.keep_webhooks,
            "webhook_retention_ms": settings.webhook_retention_ms,
            "after_restart": settings.after_restart,
            "replicas": settings.expected_replicas,
            "carrier": settings.telnyx_base_url,
        },
        "alerts": settings.on_call,
    }
    text = msgspec.json.encode(whole, order="deterministic", enc_hook=_plain).decode()
    masked: dict[str, Any] = msgspec.json.decode(_NUMBER.sub(_masked, text))
    return masked


def configuration_hash(settings: Settings) -> str:
    """SHA-256 of its canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(configuration_of(settings))).hexdigest()


def _plain(value: Any) -> Any:
    """What JSON has no form for: a mapping that cannot be changed, a value of another library."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def _app(app: Any) -> dict[str, Any]:
    # Nothing has a default here: what holds a secret and gets another name must fail, and not stand on record.
    members = {name: getattr(app, name) for name in app.__dataclass_fields__}
    route = [sender.name for sender in members.pop("route")]
    numbers, callback, risk = sorted(members.pop("test_codes")), members.pop("callback"), members.pop("risk")
    return {
        **members,
        "route": route,
        "test_numbers": numbers,
        "callback": callback and _endpoint(callback),
        "risk": risk and _risk(risk),
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """Without its secrets, and without its path, which may hold a token."""
    return {"host": endpoint.host, "allow_private": endpoint.allow_private}


def _risk(hook: RiskHook) -> dict[str, Any]:
    return {
        "timeout_ms": hook.timeout_ms,
        "on_failure": hook.on_failure,
        "number": hook.number,
        "client_ip": hook.client_ip,
        "endpoint": _endpoint(hook.endpoint),
    }


def _masked(match: re.Match[str]) -> str:
    try:
        return phone.parse(match[0]).mask
    except InvalidNumber:
        return match[0][:2] + "*" * (len(match[0]) - 4) + match[0][-2:]
