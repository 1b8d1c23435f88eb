"""Applying delivery reports: what the carrier says of a message moves the delivery that became it.

Only the signed body of a webhook is believed. The path of the request is not signed and means nothing: a recorded
report, posted to the path of a delivery whose answer is lost, would settle that one.
"""

import logging
from collections.abc import Sequence

from ..domain.delivery import DeliveryReport
from ..domain.ids import Ids, Reference
from . import ports
from .sender_health import SenderHealth
from .settle_costs import Settle, settle_nothing

_log = logging.getLogger("otp.receive")


class ApplyReports:
    """Applies delivery reports and clicks. Safe for many threads."""

    def __init__(
        self,
        *,
        reports: ports.DeliveryReports,
        ids: Ids,
        sender_health: SenderHealth,
        settle: Settle = settle_nothing,
    ) -> None:
        """`settle` is told of each report that was applied: it counts what messages cost."""
        self._settle = settle
        self._reports = reports
        self._ids = ids
        self._sender_health = sender_health

    def apply(self, reports: Sequence[DeliveryReport]) -> None:
        """Move the deliveries that the reports are about. Unknown ones change nothing. Raises StoreUnavailable."""
        for report in reports:
            self._apply(report)

    def _apply(self, report: DeliveryReport) -> None:
        number_hash = self._ids.number_hash(report.to)
        found = self._find_delivery(report, number_hash)
        if found is None:
            return
        applied = self._reports.apply_report(*found, number_hash, report)
        if applied.outcome == "foreign":
            return
        ref, ordinal = found
        extra = {"delivery_id": ref.delivery_id(ordinal), "status": report.status, "outcome": applied.outcome}
        _log.info("delivery report", extra=extra)
        self._settle(applied, report)
        self._sender_health.record_report(applied, report, number_hash)

    def _find_delivery(self, report: DeliveryReport, number_hash: str) -> tuple[Reference, int] | None:
        """The delivery that the signed body names, else the one that is known to be this message.

        What the body names is the only answer, also when it is gone.
        """
        signed = self._ids.read_delivery(report.delivery_id) if report.delivery_id else None
        return signed or self._reports.find_message(number_hash, report.message_id)

    def record_click(self, event_id: str, message_id: str, to: str | None) -> None:
        """A person followed a link in a message: into the timeline. Raises StoreUnavailable."""
        if not to:
            return
        number_hash = self._ids.number_hash(to if to.startswith("+") else f"+{to}")
        found = self._reports.find_message(number_hash, message_id)
        if found is not None:
            self._reports.record_click(*found, event_id)
