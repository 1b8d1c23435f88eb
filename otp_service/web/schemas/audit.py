"""Events of the audit record."""

import json
from typing import Any

import msgspec

from ...clock import rfc3339
from ...domain.audit import Event


class AuditEvent(msgspec.Struct):
    """One event of the record."""

    seq: str
    at: str
    type: str
    app: str | None
    verification_id: str | None
    delivery_id: str | None
    to: str | None
    number_hash: str | None
    detail: dict[str, Any]


class AuditPage(msgspec.Struct):
    """Events in order of time; `next_cursor` is null at the end."""

    events: list[AuditEvent]
    next_cursor: str | None


def audit_event(event: Event) -> AuditEvent:
    """An event as auditors see it."""
    fields = event.fields
    token = fields.get("verification", "")
    return AuditEvent(
        seq=event.seq,
        at=rfc3339(event.at_ms),
        type=event.type,
        app=fields.get("app") or None,
        verification_id=f"vrf_{token}" if token else None,
        delivery_id=fields.get("delivery") or None,
        to=fields.get("mask") or None,
        number_hash=fields.get("number_hash") or None,
        detail=json.loads(fields.get("detail") or "{}"),
    )
