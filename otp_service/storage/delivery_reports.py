"""Delivery reports: what the carrier says became of a message, applied to its delivery."""

import hashlib
from collections.abc import Iterable

from ..domain.delivery import DeliveryReport, from_carrier
from ..domain.failover import blamed
from ..domain.ids import Ids, Reference
from ..domain.outbox import ReportOutcome
from ..domain.policy import Sender
from ..domain.prices import Settlement
from ..domain.retention import Retention
from .answering import answering
from .arguments import route_text
from .callers import webhook
from .deliveries import FIRST_POLL_MS
from .schema import Keys
from .schema.encodings import MessageEntry, SettledCost, flag
from .schema.fields import Number
from .scripts import Scripts
from .store import Store

EVENT_TTL_MS = 24 * 3_600_000
"""How long a webhook event is remembered."""

_CARRIER_RANK = {
    "scheduled": 0,
    "queued": 0,
    "sending": 1,
    "sent": 2,
    "delivery_unconfirmed": 3,
    "dlr_timeout": 3,
    "delivered": 5,
    "read": 6,
}
_FAILED_RANK = 4
_MESSAGES = [f"{Number.MESSAGE}{digit}" for digit in range(10)]


class DeliveryReports:
    """The deliveries of one store, for reports on their messages. Methods raise StoreUnavailable.

    `senders` are all that this process knows; `last_senders_ms`: how long it is remembered who reached a person.
    """

    def __init__(
        self,
        store: Store,
        scripts: Scripts,
        keys: Keys,
        ids: Ids,
        senders: Iterable[Sender],
        *,
        last_senders_ms: int = Retention().last_senders_ms,
    ) -> None:
        self._last_senders_ms = last_senders_ms
        self._senders = route_text(senders)
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._ids = ids

    def find_message(self, number_hash: str, message_id: str) -> tuple[Reference, int] | None:
        """The delivery that became this message at the carrier."""
        with answering():
            entries = self._client.hmget(self._keys.number(number_hash), _MESSAGES)
        digest = hashlib.sha1(message_id.encode(), usedforsecurity=False).hexdigest()[:16]
        for entry in filter(None, entries):
            found, token, ordinal = MessageEntry.parse(str(entry))
            if found == digest:
                return Reference(token, number_hash), int(ordinal)
        return None

    def apply_report(self, ref: Reference, ordinal: int, number_hash: str, report: DeliveryReport) -> ReportOutcome:
        """Move a delivery by what the carrier reports of its message. A status that we do not know is `same`."""
        status = from_carrier(report.status)
        if status is None:
            return ReportOutcome("same")
        error, cost = report.error, report.cost
        reply = self._scripts.call(
            "delivery/apply_report",
            self._report_keys(ref),
            token=ref.token,
            number_hash=ref.number_hash,
            ordinal=ordinal,
            senders=self._senders,
            message_id=report.message_id,
            carrier_status=report.status,
            carrier_rank=_CARRIER_RANK.get(report.status, _FAILED_RANK),
            status=status,
            code=error.code if error else "",
            title=error.title if error else "",
            blamed=blamed(error),
            opted_out=flag(error is not None and error.opted_out),
            recipient=number_hash,
            first_poll_ms=FIRST_POLL_MS,
            sticky_ttl_ms=self._last_senders_ms,
            cost=cost.micros if cost else "",
            currency=cost.currency if cost else "",
            **webhook(),
        )
        return _outcome(*reply)

    def _report_keys(self, ref: Reference) -> dict[str, str]:
        k, number, shard = self._keys, ref.number_hash, self._keys.shard(ref.number_hash)
        return {
            "record": k.record(ref),
            "outbox": k.outbox(shard),
            "audit": k.audit(shard),
            "timers": k.timers(shard),
            "optouts": k.optouts(number),
            "number": k.number(number),
            "secrets": k.secrets(ref),
            "sticky": k.sticky(number),
            "opted_out": k.opted_out(shard),
            "webhooks": k.webhooks(shard),
        }

    def record_click(self, ref: Reference, ordinal: int, event_id: str) -> str:
        """Put a followed link into the timeline."""
        k, shard = self._keys, self._keys.shard(ref.number_hash)
        keys = {
            "record": k.record(ref),
            "audit": k.audit(shard),
            "event": k.event(ref.number_hash, event_id),
            "webhooks": k.webhooks(shard),
        }
        reply = self._scripts.call(
            "delivery/record_click",
            keys,
            token=ref.token,
            number_hash=ref.number_hash,
            ordinal=ordinal,
            event_ttl_ms=EVENT_TTL_MS,
            **webhook(),
        )
        return str(reply)


def _outcome(outcome: str, sender: str = "", settled: str = "") -> ReportOutcome:
    if not settled:
        return ReportOutcome(outcome, sender)
    app, day, expected, before = SettledCost.parse(settled)
    return ReportOutcome(outcome, sender, Settlement(app, day, int(expected), int(before) if before else None))
