"""A verification and its deliveries as the record tells them, up to one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..audit import OF_SUBJECT
from ..delivery import RANK, DeliveryStatus
from ..policy import MAX_LIFETIME_MS, App
from .record import Happened

PENDING = "pending"
UNNAMED = "?"
ENDS = frozenset(f"verification.{name}" for name in ("approved", "expired", "canceled", "exhausted", "denied"))
GREATEST_UNCOUNTED = 20
"""A verification with so many deliveries gives no send back any more. The scripts have the same number."""

_STATUS = {f"delivery.{status}": status for status in DeliveryStatus} | {
    "delivery.retried": DeliveryStatus.SENDING,
}


@dataclass(slots=True)
class Delivery:
    """One delivery. `unsent`: tries that surely never reached the carrier."""

    sender: str
    kind: str
    send: int
    queued_ms: int
    status: DeliveryStatus = DeliveryStatus.QUEUED
    tries: int = 0
    unsent: int = 0
    held_ms: int = 0
    accepted: bool = False
    followed: bool = False
    first_try_ms: int = 0
    last: Happened | None = None

    @property
    def may_be_sent(self) -> bool:
        """Whether the person may have its message."""
        return self.tries > self.unsent

    @property
    def is_lost(self) -> bool:
        """Whether a try's answer is not known."""
        return self.status in (DeliveryStatus.UNKNOWN, DeliveryStatus.SENDING) and self.may_be_sent


@dataclass(slots=True)
class Course:
    """One verification. `sends` is how many of them count; `sent_at` when each was made."""

    app: str
    purpose: str
    started_ms: int
    expires_ms: int
    max_checks: int
    subject: str = ""
    test: bool = False
    status: str = PENDING
    ended_ms: int = 0
    attempts: int = 0
    unbound: int = 0
    sends: int = 1
    channel: str = ""
    policy: str | None = None
    sent_at: dict[int, int] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    deliveries: dict[int, Delivery] = field(default_factory=dict)

    def is_pending(self, now_ms: int) -> bool:
        """Whether a guess can be judged."""
        return self.status == PENDING and now_ms < self.expires_ms

    @property
    def was_sent(self) -> bool:
        """Whether a message was handed to the carrier, or may have been."""
        return any(delivery.tries for delivery in self.deliveries.values())

    @property
    def ended_early(self) -> bool:
        """Whether it expired before its time: the store had begun another run."""
        return self.status == "expired" and self.ended_ms < self.expires_ms

    def sends_again(self, now_ms: int, code_ttl_ms: int) -> None:
        """The same code was queued once more."""
        self.sends += 1
        self.sent_at[self.sends] = now_ms
        self.expires_ms = min(now_ms + code_ttl_ms, self.started_ms + MAX_LIFETIME_MS)

    def has_lost_answer(self, send: int) -> bool:
        """Whether the person may have a message of this send."""
        return any(delivery.send == send and delivery.is_lost for delivery in self.deliveries.values())

    def follow(self, event: Happened) -> None:
        """A delivery's event."""
        if event.type == "delivery.queued":
            self.deliveries[event.ordinal] = Delivery(
                str(event.detail.get("sender")), str(event.detail.get("kind")), self._send_of(event), event.at_ms
            )
        elif event.ordinal in self.deliveries:
            self._move(self.deliveries[event.ordinal], event)

    def _send_of(self, event: Happened) -> int:
        """A failover has the send of the delivery before it."""
        before = [
            delivery
            for delivery in self.deliveries.values()
            if delivery.last is not None and _leads_to(delivery.last, event)
        ]
        return before[-1].send if before else self.sends

    def _move(self, delivery: Delivery, event: Happened) -> None:
        delivery.last = event
        if event.type in _TRIES:
            delivery.tries += 1
            delivery.first_try_ms = delivery.first_try_ms or event.at_ms
        if event.type == "delivery.put_off" and event.detail.get("unsent"):
            delivery.unsent += 1
        if event.type == "delivery.fell_back":
            delivery.followed = True
        if "carrier_status" in event.detail:
            delivery.accepted = True
            self.accepted.add(delivery.send)
            delivery.held_ms = int(event.detail.get("held_ms") or delivery.held_ms)
        status = _STATUS.get(event.type)
        if status is not None and RANK[status] >= RANK[delivery.status]:
            delivery.status = status


_TRIES = ("delivery.sending", "delivery.retried")


def _leads_to(fell_back: Happened, event: Happened) -> bool:
    return fell_back.type == "delivery.fell_back" and fell_back.detail.get("to") == event.delivery


def subject_of(detail: Mapping[str, Any]) -> str:
    """Whom a start is for: "" for nobody but its number, `UNNAMED` where a record of the ledger does not say it."""
    return str(detail.get("sub") or (UNNAMED if OF_SUBJECT in detail else ""))


def begun(event: Happened, app: App) -> Course:
    """The verification that this event starts."""
    detail = event.detail
    course = Course(
        app.name,
        str(detail.get("purpose")),
        event.at_ms,
        event.at_ms + app.code_ttl_ms,
        int(detail.get("max_checks") or app.max_checks),
        subject=subject_of(detail),
        test=bool(detail.get("test")),
        channel=str(detail.get("channel") or ""),
        policy=event.policy,
    )
    course.sent_at[1] = event.at_ms
    return course
