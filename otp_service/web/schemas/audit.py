"""Events of the audit record."""

from typing import Any

import msgspec

from ...clock import rfc3339
from ...domain.audit import POLICY_DIGITS, Event
from .values import EventWord, MaskedNumber, Time

PREFIX = "sha256:"


class Cause(msgspec.Struct):
    """Who caused an event: the API key, the request and where it came from. Null where there is none: a timer's end.

    A command has `shell:user@host` in place of the address.
    """

    key_id: str | None
    request_id: str | None
    address: str | None


class AuditEvent(msgspec.Struct):
    """One event of the record.

    `policy`: the configuration that decided, by the first 16 digits of its hash, which `configuration.loaded` has
    whole. `process`: the one that did it, as `service.started` names it.
    """

    seq: str
    at: Time
    type: EventWord
    app: str | None
    verification_id: str | None
    delivery_id: str | None
    to: MaskedNumber | None
    number_hash: str | None
    by: Cause
    policy: str | None
    process: str | None
    detail: dict[str, Any]


class AuditPage(msgspec.Struct):
    """Events in order of time; `next_cursor` is null at the end."""

    events: list[AuditEvent]
    next_cursor: str | None


class LogKeys(msgspec.Struct):
    """The verifier key that signed first, and signed notes, oldest first, each of which names the next key."""

    first_key: str | None
    rotations: list[str]


class Cosigned(msgspec.Struct, forbid_unknown_fields=True):
    """What a witness says: its verifier key, and a checkpoint of the log with its cosignature below."""

    key: str
    checkpoint: str


class Witnessed(msgspec.Struct):
    """The witness, and how many records it has cosigned."""

    witness: str
    size: int


def audit_event(event: Event) -> AuditEvent:
    """An event as auditors see it."""
    return AuditEvent(
        seq=event.seq,
        at=rfc3339(event.at_ms),
        type=event.type,
        app=event.app,
        verification_id=event.verification_id,
        delivery_id=event.delivery_id,
        to=event.mask,
        number_hash=event.number_hash,
        by=Cause(event.key_id, event.request_id, event.address),
        # Not more, so that an event is the same before and after the ledger has it.
        policy=event.policy and f"{PREFIX}{event.policy.removeprefix(PREFIX)[:POLICY_DIGITS]}",
        process=event.process,
        detail=event.detail,
    )
