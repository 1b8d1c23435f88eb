"""Entries of the audit streams as events: one entry holds the events that happened in one step.

An event's position counts the store's entries by `EVENTS_PER_ENTRY`, so that each event of an entry has a place of its
own between the entries.
"""

import json
from collections.abc import Iterator, Mapping

from ..domain.audit import Event, EventField, EventType, Position
from ..domain.record_page import EVENTS_PER_ENTRY
from .schema.encodings import (
    AuditEvent,
    AuditEvents,
    AuditSubject,
    GuardedStartDetail,
    QueuedDetail,
    StartDetail,
    caller_parts,
)
from .schema.fields import AuditEntry, PublicId, ShortType

_LONG_TYPES = {ShortType.STARTED: EventType.STARTED, ShortType.QUEUED: EventType.QUEUED}


def events_of(shard: int, entry: str, fields: Mapping[str, str] | None) -> list[Event]:
    """The events of one entry in order. An entry that holds none in our form is one event without a type."""
    try:
        found = list(_facts(fields or {})) or [{}]
    except ValueError:
        found = [{}]
    at = Position.read(entry)
    return [
        Event(
            shard,
            Position(at.ms, at.counter * EVENTS_PER_ENTRY + index),
            facts.get(EventField.TYPE, ""),
            facts,
            siblings=len(found) - 1,
        )
        for index, facts in enumerate(found)
    ]


def entry_of(position: Position) -> str:
    """The id of the entry in which the event of this position stands."""
    return f"{position.ms}-{position.counter // EVENTS_PER_ENTRY}"


def _facts(fields: Mapping[str, str]) -> Iterator[dict[str, str]]:
    about, events = fields.get(AuditEntry.ABOUT), fields.get(AuditEntry.EVENTS)
    if about is None or events is None:
        return
    verification, app, mask, number_hash, n, caller = AuditSubject.parse(about)
    policy, key_id, request_id, process, address = caller_parts(caller)
    for index, text in enumerate(events.split(AuditEvents.separator)):
        kind, ordinal, detail = AuditEvent.parse(text)
        kind = _LONG_TYPES.get(kind, kind)
        yield {
            EventField.TYPE: kind,
            EventField.VERIFICATION: verification,
            EventField.APP: app,
            EventField.MASK: mask,
            EventField.NUMBER_HASH: number_hash,
            EventField.DELIVERY: f"{PublicId.DELIVERY}{verification}{PublicId.ORDINAL}{ordinal}" if ordinal else "",
            EventField.KEY_ID: key_id,
            EventField.REQUEST_ID: request_id,
            EventField.ADDRESS: address,
            EventField.POLICY: policy,
            EventField.PROCESS: process,
            EventField.N: str(int(n) + index) if n else "",
            EventField.DETAIL: _detail(kind, detail),
            EventField.WEBHOOK: "" if index else fields.get(AuditEntry.WEBHOOK, ""),
        }


def _detail(kind: str, stored: str) -> str:
    """An event's detail as JSON. Raises ValueError for a text of another form."""
    if not stored or stored.startswith("{"):
        return stored or "{}"
    if kind == EventType.QUEUED:
        return json.dumps(QueuedDetail.named(stored))
    is_guarded = stored.count(GuardedStartDetail.separator) >= len(GuardedStartDetail.parts) - 1
    return json.dumps((GuardedStartDetail if is_guarded else StartDetail).named(stored))
