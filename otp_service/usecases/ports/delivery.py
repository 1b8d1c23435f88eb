"""Deliveries: the outbox, delivery reports, and the carrier that sends messages to phones."""

from collections.abc import Sequence
from typing import Protocol

from ...domain.admission import OuterAnswer
from ...domain.delivery import Accepted, DeliveryReport, NotSent, Refused, SendOutcome, Unknown
from ...domain.guarding import Converted
from ...domain.ids import Reference
from ...domain.outbox import Job, PendingDelivery, ReportOutcome, SendPermit, Timer
from ...domain.policy import Limit, Sender


class Deliveries(Protocol):
    """The deliveries to make, and the record of how each attempt ended. Each method is a single atomic step.

    The `record_…` methods and `return_to_queue` return the state that the delivery is in then.
    """

    def pending_delivery(self, job: Job, *, rate_per_s: float = 0.0) -> PendingDelivery | None:
        """What is needed to write the request; None if the verification is gone.

        With the rate of the sender that the entry names, a slot of it is taken, too, if one comes at once (`slot_ms`).
        """
        ...

    def begin_send(
        self,
        job: Job,
        app: str,
        sealed_body: str,
        wrong_limits: Sequence[Limit],
        all_wrong_limits: Sequence[Limit],
        *,
        spend: OuterAnswer | None = None,
    ) -> SendPermit | None:
        """Record the attempt and get the bytes to send; None if there is nothing to send.

        `spend`: whether the expected price was taken now of what the app may spend today, where it had to be.
        The limits on wrong codes are those of the app and those over all apps: a number that has spent them gets none.
        """
        ...

    def record_accepted(self, job: Job, outcome: Accepted) -> str:
        """The carrier has the message. Failover if it holds it for longer than the code lives."""
        ...

    def record_refused(self, job: Job, outcome: Refused) -> str:
        """The carrier refused it. Failover where that can help."""
        ...

    def record_retry(self, job: Job, wait_ms: int, outcome: NotSent) -> str:
        """Nothing was sent: the same request again after a wait."""
        ...

    def record_rate_wait(self, job: Job, wait_ms: int) -> str:
        """The sender's slot is reserved and not yet come: again at its time."""
        ...

    def record_unknown(self, job: Job, wait_ms: int, outcome: Unknown) -> str:
        """It may have been sent: the same bytes again after a wait, unless a report comes first."""
        ...

    def record_impossible(self, job: Job, code: str, title: str) -> str:
        """The request cannot be made at all. Failover, unless an earlier attempt may have been sent."""
        ...

    def return_to_queue(self, job: Job, title: str, wait_ms: int, *, may_fail_over: bool) -> str:
        """This worker cannot send it and another may: again after a wait, until the code's end."""
        ...

    def record_held(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool = True) -> str:
        """A breaker is open: failover, or again after a wait."""
        ...

    def pass_to_next_sender(self, job: Job, code: str, title: str, better: Sequence[str]) -> bool:
        """Failover from a held sender to one of the `better`; False if none is left, and nothing changed."""
        ...


class SenderRate(Protocol):
    """The slots in the senders' rates, shared by all workers."""

    def acquire_rate_slot(self, sender: str, rate_per_s: float, patience_ms: int, *, again: bool = False) -> int:
        """Take the sender's next slot: milliseconds to wait for it, negative if that is more than `patience_ms`.

        The message goes after `LONGEST_SLEEP_MS` at most; after a longer wait it asks `again`.
        """
        ...


class DueDeliveries(Protocol):
    """The deliveries whose timers are due. Each method is a single atomic step."""

    def requeue(self, due: Timer) -> bool:
        """Put a delivery back into the outbox whose wait is over; False if another process did."""
        ...

    def claim_slots(self, due: Timer) -> Sequence[OuterAnswer]:
        """What the delivery's send has taken in limits and of the day's spending, to be given back by this process."""
        ...

    def claim_guarded(self, due: Timer) -> Converted | None:
        """What the pumping guard took for the delivery's send, which this process is to give back."""
        ...

    def claim_poll(self, due: Timer) -> str | None:
        """The id of the message whose report this process is to poll; None if none is due."""
        ...

    def claim_failover(self, due: Timer) -> str | None:
        """Failover for a message that was not sent in time. A message id: its report is to be polled first."""
        ...

    def close_delivery(self, due: Timer) -> str | None:
        """End a delivery of which no report is expected any more; the status it ended in, None if it had ended."""
        ...


class DeliveryReports(Protocol):
    """Where delivery reports are applied."""

    def find_message(self, number_hash: str, message_id: str) -> tuple[Reference, int] | None:
        """The delivery that became this message at the carrier."""
        ...

    def apply_report(self, ref: Reference, ordinal: int, number_hash: str, report: DeliveryReport) -> ReportOutcome:
        """Move a delivery by what the carrier says of its message."""
        ...

    def record_click(self, ref: Reference, ordinal: int, event_id: str) -> str:
        """A person followed a link in the message."""
        ...


class Carrier(Protocol):
    """Who sends messages to phones."""

    def compose(self, sender: Sender, *, to: str, text: str, code: str, webhook_url: str, delivery_id: str) -> bytes:
        """The request of a delivery. Made once; every attempt sends the same bytes."""
        ...

    def send(self, composed: bytes, *, idempotency_key: str, within_s: float) -> SendOutcome:
        """Send a request; it leaves within so many seconds or not at all. Never raises for what the carrier does."""
        ...

    def fetch_report(self, message_id: str) -> DeliveryReport | None:
        """What the carrier knows of a message now; None if nothing, or if it does not answer."""
        ...
