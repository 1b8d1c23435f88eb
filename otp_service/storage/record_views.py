"""What a record and a timeline in the store say, as values of the domain."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..domain.audit import EventType
from ..domain.delivery import DeliveryStatus
from ..domain.ids import Reference
from ..domain.policy import MAX_LIFETIME_MS
from ..domain.starting import StartCommand, Started
from ..domain.verification import Status
from ..domain.view import DeliveryView, TimelineEntry, VerificationView
from .guard_arguments import verdict_of
from .pieces import joined
from .schema import encodings
from .schema.fields import Delivery, Record

FIRST_VERSION = 2
"""The version of a new record: it was started, and its delivery is queued."""

TEST_NUMBER = ("test_number", "A test number: nothing is sent.")
"""The error of a delivery to a test number. The scripts have the same words."""

CLOCK_PLAY_MS = 5_000
"""By so much a code may seem to begin in the future; by more, the store's clock was set back, and the code is over."""
_USUAL_DETAIL: Mapping[str, str] = {
    EventType.SENDING: '{"try":1}',
    EventType.SENT: '{"carrier_status":"queued"}',
    EventType.DELIVERED: '{"carrier_status":"delivered"}',
}
"""What an event of the timeline says whose detail is not kept, as JSON. The scripts have the same table."""

View = TypeVar("View", bound=VerificationView)


def view_of(
    kind: type[View],
    ref: Reference,
    record: Mapping[str, str],
    now_ms: int,
    subject: str,
    *,
    over: Callable[[int], bool],
    **more: Any,
) -> View:
    """The verification of a record, as it stands at this moment of the store's clock.

    `over`: whether what began then, by the store's clock in ms, began in a run of the store that is over. `more` are
    the fields that only this kind of view has.
    """
    facts = encodings.RecordFacts.named(record[Record.FACTS])
    sending = encodings.Sending.named(record[Record.SENDING])
    status = Status(record[Record.STATUS])
    created_ms = int(facts["created_ms"])
    expires_ms = min(int(record[Record.EXPIRES]), created_ms + MAX_LIFETIME_MS)
    if status is Status.PENDING and (over(created_ms) or not created_ms - CLOCK_PLAY_MS <= now_ms < expires_ms):
        status = Status.EXPIRED
    return kind(
        reference=ref,
        app=facts["app"],
        purpose=facts["purpose"],
        channel=sending["channel"],
        mask=facts["mask"],
        subject=subject,
        status=status,
        created_ms=created_ms,
        expires_ms=expires_ms,
        attempts=int(record[Record.ATTEMPTS]),
        max_checks=int(facts["max_checks"]),
        sends=int(sending["sends"]),
        max_sends=int(facts["max_sends"]),
        next_send_ms=int(sending["next_send_ms"]),
        metadata=record.get(Record.METADATA, "{}"),
        deliveries=tuple(_delivery(record, n) for n in range(1, int(sending["deliveries"]) + 1)),
        version=int(record.get(Record.VERSION, 0)),
        now_ms=now_ms,
        test=Record.TEST in record,
        **more,
    )


def created(command: StartCommand, subject: str, reply: Sequence[str]) -> Started:
    """What a command created. The script's reply: the time, what the guard counted, the code's end, the next
    send, the sender and its kind."""
    now_ms, expires_ms, next_send_ms = int(reply[0]), int(reply[2]), int(reply[3])
    first = DeliveryView(1, reply[4], reply[5], DeliveryStatus.QUEUED, None, None, now_ms, now_ms)
    if command.test:
        first.status, first.error = DeliveryStatus.SUPPRESSED, TEST_NUMBER
    return Started(
        reference=command.reference,
        app=command.app.name,
        purpose=command.purpose,
        channel=command.channel,
        mask=command.mask,
        subject=subject,
        status=Status.PENDING,
        created_ms=now_ms,
        expires_ms=expires_ms,
        attempts=0,
        max_checks=command.app.max_checks,
        sends=1,
        max_sends=len(command.app.resend_after_ms) + 1,
        next_send_ms=next_send_ms,
        metadata=command.metadata,
        deliveries=(first,),
        version=FIRST_VERSION + command.test,
        now_ms=now_ms,
        test=command.test,
        resent=False,
        guarded=reply[1],
        verdict=verdict_of(reply[6], command.guard_place),
    )


def _delivery(record: Mapping[str, str], n: int) -> DeliveryView:
    facts = delivery_facts(record, n)
    code = record.get(f"{n}{Delivery.ERROR_CODE}")
    return DeliveryView(
        ordinal=n,
        sender=facts["sender"],
        kind=facts["kind"],
        status=DeliveryStatus(record[f"{n}{Delivery.STATUS}"]),
        carrier_status=record.get(f"{n}{Delivery.CARRIER_STATUS}") or None,
        error=(code, record.get(f"{n}{Delivery.ERROR_TITLE}", "")) if code else None,
        queued_ms=int(facts["queued_ms"]),
        updated_ms=int(record.get(f"{n}{Delivery.UPDATED}") or facts["queued_ms"]),
    )


def delivery_facts(record: Mapping[str, str], n: int) -> dict[str, str]:
    """What never changes of a record's n-th delivery, by name. Raises KeyError if there is no such delivery."""
    facts = encodings.DeliveryFacts.named(record[f"{n}{Delivery.FACTS}"])
    queued_ms = facts["queued_ms"] or encodings.RecordFacts.named(record[Record.FACTS])["created_ms"]
    return facts | {"queued_ms": queued_ms}


def is_of(record: Mapping[str, str], app: str | None) -> bool:
    """Whether the record is there, and belongs to the app. None is any app."""
    return Record.FACTS in record and app in (None, app_of(record))


def app_of(record: Mapping[str, str]) -> str:
    """The app of a record that is there."""
    return encodings.RecordFacts.parse(record[Record.FACTS])[0]


def timeline_of(ref: Reference, record: Mapping[str, str]) -> list[TimelineEntry]:
    """The events of a record in order; none of a record that is gone."""
    if Record.FACTS not in record:
        return []
    versions = (int(name[len(Record.TIMELINE) :]) for name in record if name.startswith(Record.TIMELINE))
    return [*_first_events(ref, record), *(_timeline_entry(ref, record, version) for version in sorted(versions))]


def _first_events(ref: Reference, record: Mapping[str, str]) -> list[TimelineEntry]:
    """That it was started, and its first message queued: no fields of their own say so."""
    facts, first = encodings.RecordFacts.named(record[Record.FACTS]), delivery_facts(record, 1)
    detail = json.loads(joined(record, f"{Record.DETAIL}1") or usual_detail(facts["purpose"], first["channel"]))
    return [
        TimelineEntry(EventType.STARTED, int(facts["created_ms"]), None, detail),
        TimelineEntry(EventType.QUEUED, int(first["queued_ms"]), ref.delivery_id(1), queued_detail(first)),
    ]


def usual_detail(purpose: str, channel: str) -> str:
    """The detail of a start's event that says no more than this, as JSON. It is not stored in the record."""
    return f'{{"purpose": "{purpose}", "channel": "{channel}"}}'


def queued_detail(facts: Mapping[str, str]) -> dict[str, str]:
    """What the event of a queued delivery says."""
    return {"sender": facts["sender"], "kind": facts["kind"]}


def _timeline_entry(ref: Reference, record: Mapping[str, str], version: int) -> TimelineEntry:
    event, at, ordinal = encodings.TimelineEntry.parse(record[f"{Record.TIMELINE}{version}"])
    if event == EventType.QUEUED:
        detail = queued_detail(delivery_facts(record, int(ordinal)))
    else:
        detail = json.loads(joined(record, f"{Record.DETAIL}{version}") or _USUAL_DETAIL.get(event, "{}"))
    if event == EventType.SENT:
        detail["message_id"] = record[f"{ordinal}{Delivery.MESSAGE_ID}"]
    return TimelineEntry(event, int(at), ref.delivery_id(int(ordinal)) if ordinal else None, detail)


def own_detail(command: StartCommand) -> str:
    """The detail of a start's event where it says more than the record does anyway; otherwise empty."""
    return "" if command.detail == usual_detail(command.purpose, command.channel) else command.detail
