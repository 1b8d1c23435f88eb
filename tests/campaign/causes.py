"""Why a send made no SMS, or more than one. Without a reason or a cause, both are breaches."""

import math

from .case import Case, Send
from .evidence import TERMINAL

RESPONSE_LOST, SENDER_FAILED = "response lost", "first sender failed"
HELD, REPORT_LATE = "held by the carrier", "delivery report late"

REPORT_FAULTS = frozenset(
    {
        *("webhook_delay", "webhook_loss", "webhook_disorder", "silent"),
        *("kill_api", "kill_api_child", "stop_api", "kill_store", "stop_store", "kill_connections"),
    }
)
"""The faults that delay or drop a delivery report."""


REPORT_S = 1.0
"""A message that the carrier held for longer than this may arrive so shortly before the failover: its report is not
there yet."""


def reason_for_none(case: Case, send: Send) -> str:
    """The final statuses that explain why no SMS arrived; empty if there is none or one says `delivered`."""
    reasons = [_reason_of(case, send, name) for name in send.chain]
    return ", then ".join(reasons) if all(reasons) else ""


def _reason_of(case: Case, send: Send, name: str) -> str:
    delivery = case.deliveries.get(name, {})
    status, error = str(delivery.get("status", "")), delivery.get("error")
    if status not in TERMINAL or status == "delivered":
        return ""
    recorded = any(
        event.type == f"delivery.{status}" and event.delivery_id == name
        for event in case.events_of[send.verification_id]
    )
    if not error and not recorded:
        return ""
    return status + (f" {error['code']}" if error else "")


def cause_of_duplicate(case: Case, send: Send) -> str:
    """Why more than one SMS arrived; empty unless every extra one has a cause."""
    causes = [_cause_of_extra(case, send, earlier) for earlier in _repeated(send)]
    return causes[0] if causes and all(causes) else ""


def _repeated(send: Send) -> list[str]:
    """For each SMS beyond the first, the delivery that made the SMS before it."""
    by_chain = sorted(send.copies, key=lambda copy: send.chain.index(copy.delivery_id))
    return [copy.delivery_id for copy in by_chain[:-1]]


def _cause_of_extra(case: Case, send: Send, name: str) -> str:
    if case.response_lost(name):
        return RESPONSE_LOST
    after = send.chain[send.chain.index(name) + 1 :]
    if not after or name not in case.failovers:
        return ""
    if case.deliveries.get(name, {}).get("status") == "failed":
        return SENDER_FAILED
    first = min((request.received_at for request in case.requests_of[name]), default=0.0)
    second = min((request.received_at for each in after for request in case.requests_of[each]), default=math.inf)
    decided = min(second, case.failed_over_at(name))
    arrived = min(copy.received_at for copy in case.copies_of[name])
    if arrived > decided or (arrived > first + REPORT_S and arrived > decided - REPORT_S):
        return HELD
    return REPORT_LATE if case.during(REPORT_FAULTS, first, second) else ""


def requests_text(case: Case, names: list[str]) -> str:
    """The carrier's responses to the requests of these deliveries, for a breach's detail."""
    statuses = [str(request.status or "response lost") for name in names for request in case.requests_of[name]]
    return f"at the carrier: {', '.join(statuses)}" if statuses else "never at the carrier"
