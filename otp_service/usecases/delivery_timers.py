"""What happens to a delivery by time alone: retry, poll, failover, closing; and the expiry of a verification.

The timers are in the store, so none is lost with a process. Each step checks there again whether it is still needed.
"""

import logging
from collections.abc import Callable

from ..domain.guarding import Converted
from ..domain.ids import Ids
from ..domain.outbox import Timer, TimerKind
from . import ports
from .sender_health import SenderHealth
from .settle_costs import Settle, settle_nothing

_log = logging.getLogger("otp.deliver")


class DeliveryTimers:
    """Runs timers that are due. Safe for many threads."""

    def __init__(
        self,
        *,
        due: ports.DueDeliveries,
        reports: ports.DeliveryReports,
        store: ports.VerificationStore,
        carrier: ports.Carrier,
        ids: Ids,
        sender_health: SenderHealth,
        outer: ports.OuterStore,
        unsent: Callable[[Converted], object],
        settle: Settle = settle_nothing,
    ) -> None:
        """`unsent` gives back what the pumping guard took for sends that no carrier accepted; `settle` counts costs."""
        self._settle = settle
        self._due = due
        self._reports = reports
        self._store = store
        self._carrier = carrier
        self._ids = ids
        self._sender_health = sender_health
        self._outer = outer
        self._unsent = unsent

    def run(self, timer: Timer) -> str | None:
        """Do what a timer that is due asks for. Raises StoreUnavailable; the timer then comes again.

        Returns the id of a message whose report the caller is to poll (`poll_report`); that takes its time. The timer
        comes again anyway.
        """
        match timer.kind:
            case TimerKind.EXPIRY:
                self._store.expire(timer.reference)
            case TimerKind.RETRY:
                self._due.requeue(timer)
            case TimerKind.POLL:
                return self._due.claim_poll(timer)
            case TimerKind.FAILOVER:
                return self._due.claim_failover(timer)
            case TimerKind.RETURN:
                self._give_back(timer)
            case TimerKind.CLOSING:
                self._close(timer)
        return None

    def _give_back(self, timer: Timer) -> None:
        """What a send took that no carrier accepted. The timer ends with the slots, so they come last."""
        guarded = self._due.claim_guarded(timer)
        if guarded is not None:
            self._unsent(guarded)
        self._outer.give_back(self._due.claim_slots(timer))

    def _close(self, timer: Timer) -> None:
        status = self._due.close_delivery(timer)
        if status is not None:
            _log.warning(
                "closed a delivery without a final report", extra={"delivery_id": timer.delivery_id, "outcome": status}
            )

    def poll_report(self, timer: Timer, message_id: str) -> None:
        """Poll the carrier for the report of a silent delivery, and apply it. Raises StoreUnavailable.

        A report that names another delivery or another recipient is not believed.
        """
        report = self._carrier.fetch_report(message_id)
        if report is None or report.delivery_id not in (None, timer.delivery_id):
            return
        number_hash = self._ids.number_hash(report.to)
        applied = self._reports.apply_report(timer.reference, timer.ordinal, number_hash, report)
        self._settle(applied, report)
        self._sender_health.record_report(applied, report, number_hash)
        _log.info("polled a delivery report", extra={"delivery_id": timer.delivery_id, "outcome": applied.outcome})
