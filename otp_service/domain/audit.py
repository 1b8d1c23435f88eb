"""What the record says: event types, one value per event, and the cursor over all shards.

Every state change appends its event in the same script, so the record cannot disagree with the state. Events hold
masks and keyed hashes, never a code, a key or a full number.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from .ids import VERIFICATION_PREFIX


class EventType(StrEnum):
    """Every event the service records. The part before the dot is what it is about."""

    STARTED = "verification.started"
    RESENT = "verification.resent"
    REFUSED = "verification.refused"
    CHECK_FAILED = "check.failed"
    GUESSING = "guessing.changed"
    APPROVED = "verification.approved"
    EXHAUSTED = "verification.exhausted"
    EXPIRED = "verification.expired"
    CANCELED = "verification.canceled"
    DENIED = "verification.denied"
    QUEUED = "delivery.queued"
    SENDING = "delivery.sending"
    SENT = "delivery.sent"
    RETRIED = "delivery.retried"
    PUT_OFF = "delivery.put_off"
    UNKNOWN = "delivery.unknown"
    DELIVERED = "delivery.delivered"
    FAILED = "delivery.failed"
    UNCONFIRMED = "delivery.unconfirmed"
    SUPPRESSED = "delivery.suppressed"
    DELIVERY_EXPIRED = "delivery.expired"
    FELL_BACK = "delivery.fell_back"
    LINK_CLICKED = "delivery.link_clicked"
    REPORTED = "report.received"
    REDEEMED = "receipt.redeemed"
    FACTOR_ENROLLED = "factor.enrolled"
    FACTOR_ADDED = "factor.added"
    FACTOR_RENAMED = "factor.renamed"
    FACTOR_REMOVED = "factor.removed"
    FACTOR_APPROVED = "factor.approved"
    FACTOR_FAILED = "factor.check_failed"
    FACTOR_REPLAYED = "factor.code_used"
    CODES_REPLACED = "factor.codes_replaced"
    SUBJECT_LIFTED = "factor.lifted"
    NUMBER_TOLD = "factor.number_told"
    CODES_LOW = "factor.codes_low"
    COMPLETED = "verification.completed"
    GUARD_TRIPPED = "guard.tripped"
    GUARD_PROBED = "guard.probed"
    GUARD_CONVERTED = "guard.probe_converted"
    GUARD_NOVELTY = "guard.novelty"
    GUARD_OUTAGE = "guard.outage"
    SPEND_REACHED = "guard.spend_reached"
    GUARD_FACTOR = "guard.factor_approved"
    GUARD_RETURNED = "guard.returned"
    SAFE_LISTED = "guard.safe_listed"
    SAFE_REMOVED = "guard.safe_removed"
    OPTED_OUT = "optout.added"
    OPTED_IN = "optout.removed"
    PERSON_SHOWN = "person.shown"
    PERSON_ERASED = "person.erased"
    LOCK_LIFTED = "person.lock_lifted"
    LIMIT_EXCEEDED = "limit.exceeded"
    REPLY_UNCLEAR = "reply.unclear"
    WEBHOOK_REJECTED = "webhook.rejected"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    KEY_REFUSED = "key.refused"
    SCOPE_REFUSED = "scope.refused"
    STORE_RESTARTED = "store.restarted"
    STORE_EMPTIED = "store.emptied"
    LEDGER_GAP = "ledger.gap"
    LEDGER_DIGEST = "ledger.digest"
    LEDGER_COPIED = "ledger.copied"
    LEDGER_ACCEPTED = "ledger.accepted"
    WEBHOOKS_DROPPED = "ledger.webhooks_dropped"
    WITNESS_ADDED = "witness.added"
    WITNESS_REMOVED = "witness.removed"
    EVIDENCE_MADE = "evidence.made"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORTED = "audit.exported"
    SERVICE_STARTED = "service.started"
    KEYRING_ROTATED = "keyring.rotated"
    KEYRING_RETIRED = "keyring.retired"
    KEYRING_RESEALED = "keyring.resealed"
    KEYRING_ACCEPTED = "keyring.accepted"
    CALLBACKS_REPLAYED = "callbacks.replayed"
    OUTBOX_REPLAYED = "outbox.replayed"
    REPLICAS_LOWERED = "replicas.lowered"
    CARRIER_SENT = "carrier.sent"
    CARRIER_CHANGED = "carrier.changed"
    CARRIER_READ = "carrier.read"
    CONFIGURATION_LOADED = "configuration.loaded"


POLICY_DIGITS = 16
"""How many digits of the hash of a configuration an event holds. The ledger knows the whole hash."""

OF_SUBJECT = "of_subject"
"""Stands in a record of the ledger for `sub` in the detail: the code was for a subject. Readers do not see it."""


class EventField:
    """Names of an event's fields, in the store and in `Event.fields`."""

    TYPE: Final = "type"
    VERIFICATION: Final = "verification"
    """The token of the verification's id."""
    APP: Final = "app"
    MASK: Final = "mask"
    NUMBER_HASH: Final = "number_hash"
    DELIVERY: Final = "delivery"
    """The delivery's id."""
    MESSAGE: Final = "message_id"
    """The carrier's id of the message; events from the ledger alone are found by it."""
    KEY_ID: Final = "key_id"
    """The id of the API key that caused it."""
    REQUEST_ID: Final = "request_id"
    """The id of the request that caused it."""
    ADDRESS: Final = "address"
    """Where that request came from, as far as the configuration has it recorded."""
    POLICY: Final = "policy"
    """The hash of the configuration that decided."""
    PROCESS: Final = "process"
    """The name of the process that did it."""
    N: Final = "n"
    """Which event of its verification it is, counted from 1; empty for what is not counted there."""
    DETAIL: Final = "detail"
    """A JSON object."""
    WEBHOOK: Final = "webhook"
    """The commitment to the carrier's webhook that caused it; empty for what none caused."""
    SEALED_WEBHOOK: Final = "sealed_webhook"
    """That webhook, sealed: only for the exporter."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A position in one shard's stream: milliseconds and a counter, as the store's stream ids have it."""

    ms: int
    counter: int

    @classmethod
    def read(cls, text: str) -> "Position":
        """Parse `ms-counter`; ValueError for anything else."""
        ms, _, counter = text.partition("-")
        if not (ms.isascii() and ms.isdigit() and counter.isascii() and counter.isdigit() and len(text) <= 41):
            raise ValueError("not a position")
        position = cls(int(ms), int(counter))
        if position.ms >= 2**64 or position.counter >= 2**64:
            raise ValueError("not a position: the store counts in 64 bits")
        return position

    def __str__(self) -> str:
        return f"{self.ms}-{self.counter}"


ZERO = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the record. `at_ms` is the store's clock in Unix milliseconds.

    `fields` are texts: `type`, `verification` (an id's token), `app`, `mask`, `number_hash`, `delivery` (an id),
    `key_id`, `request_id`, `address` and `detail` (a JSON object). `siblings`: how many other events were recorded in
    the same step.
    """

    shard: int
    position: Position
    type: str
    fields: Mapping[str, str]
    siblings: int = 0

    @property
    def at_ms(self) -> int:
        """When it happened."""
        return self.position.ms

    @property
    def app(self) -> str | None:
        """The app that it belongs to; None if it belongs to none."""
        return self.fields.get(EventField.APP) or None

    @property
    def verification_id(self) -> str | None:
        """The verification that it is about."""
        token = self.fields.get(EventField.VERIFICATION)
        return VERIFICATION_PREFIX + token if token else None

    @property
    def delivery_id(self) -> str | None:
        """The delivery that it is about."""
        return self.fields.get(EventField.DELIVERY) or None

    @property
    def mask(self) -> str | None:
        """The masked number that it is about."""
        return self.fields.get(EventField.MASK) or None

    @property
    def number_hash(self) -> str | None:
        """The keyed hash of that number."""
        return self.fields.get(EventField.NUMBER_HASH) or None

    @property
    def key_id(self) -> str | None:
        """The id of the API key that caused it."""
        return self.fields.get(EventField.KEY_ID) or None

    @property
    def request_id(self) -> str | None:
        """The id of the request that caused it."""
        return self.fields.get(EventField.REQUEST_ID) or None

    @property
    def address(self) -> str | None:
        """Where that request came from."""
        return self.fields.get(EventField.ADDRESS) or None

    @property
    def policy(self) -> str | None:
        """The hash of the configuration that decided."""
        return self.fields.get(EventField.POLICY) or None

    @property
    def process(self) -> str | None:
        """The name of the process that did it, as its event `service.started` has it."""
        return self.fields.get(EventField.PROCESS) or None

    @property
    def n(self) -> int | None:
        """Which event of its verification it is, counted from 1."""
        return int(self.fields.get(EventField.N) or 0) or None

    @property
    def detail(self) -> dict[str, Any]:
        """What else is known of it. Raises ValueError if the field is not JSON."""
        detail: dict[str, Any] = json.loads(self.fields.get(EventField.DETAIL) or "{}")
        return detail

    @property
    def seq(self) -> str:
        """The event's name, unique over all shards and sortable within one."""
        return f"{self.shard:02x}-{self.position}"


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order of time, the positions after them, and whether the end of what can be read was reached.

    `unread`: shards that do not answer now. What they still have comes later, behind their positions, which stay.
    """

    events: list[Event]
    positions: list[Position]
    at_end: bool
    unread: frozenset[int] = frozenset()

    @property
    def is_stuck(self) -> bool:
        """Whether there is nothing to show, and nobody can say that there is nothing more."""
        return self.at_end and bool(self.unread) and not self.events


_CURSOR_POSITION = struct.Struct(">QQ")
_LAST = 2**64 - 1


def pack_positions(positions: Sequence[Position]) -> bytes:
    """One position per shard, 16 bytes each: the length says nothing about where they are."""
    return b"".join(_CURSOR_POSITION.pack(position.ms, min(position.counter, _LAST)) for position in positions)


def read_positions(raw: bytes, shards: int) -> list[Position]:
    """Undo `pack_positions` for this many shards. ValueError for another length."""
    if len(raw) != shards * _CURSOR_POSITION.size:
        raise ValueError("not a cursor of this service")
    return [Position(*parts) for parts in _CURSOR_POSITION.iter_unpack(raw)]
