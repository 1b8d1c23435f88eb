"""One delivery: one sender's attempt to bring one code to one phone, and what the carrier reports of it.

The state moves by rank and never backwards, because webhooks arrive unordered, repeated, early or never.
The same table stands in `storage/lua/_delivery.lua`, where the move is atomic; a test compares the two.
"""

from dataclasses import dataclass
from enum import StrEnum

from .prices import Cost


class DeliveryStatus(StrEnum):
    """Where a delivery stands. `unknown`: the carrier's answer was lost, a webhook or poll will settle it."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    DELIVERED = "delivered"


RANK = {
    DeliveryStatus.QUEUED: 0,
    DeliveryStatus.SENDING: 1,
    DeliveryStatus.UNKNOWN: 1,
    DeliveryStatus.SENT: 2,
    DeliveryStatus.SUPPRESSED: 3,
    DeliveryStatus.EXPIRED: 3,
    DeliveryStatus.UNCONFIRMED: 4,
    DeliveryStatus.FAILED: 5,
    DeliveryStatus.DELIVERED: 6,
}


class Action(StrEnum):
    """What an OTP sender does about a refusal or a failed delivery."""

    RETRY = "retry"  # the same request with the same key, bounded, with backoff
    NEXT_SENDER = "next_sender"  # another sender may get through
    STOP_PERSON = "stop_person"  # this person must not or cannot be reached: no other sender of the profile/number
    BAD_REQUEST = "bad_request"  # this request or text is wrong: next sender, and an error in the log; no breaker
    STOP_SENDER = "stop_sender"  # this sender is out of order: next sender, and alert the operator
    STOP_PROFILE = "stop_profile"  # the sender's messaging profile is out of order: next sender, and alert the operator
    STOP_ALL = "stop_all"  # nothing can be sent with this account: page somebody


@dataclass(frozen=True, slots=True)
class Accepted:
    """The carrier has the message. `status` is the carrier's own; `wait_s` is for how long it will hold it, seconds."""

    message_id: str
    status: str | None = None
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier refused: nothing was sent. `code` is its own code, `opted_out` its block-list answer.

    `spent`: the profile has reached its daily limit, and nothing more goes out by it before midnight UTC.
    `foreign`: the answer is not in the carrier's form (a proxy's page, a redirect, an empty body); `code` is then
    `http_` and the status.
    """

    code: str
    title: str
    action: Action
    opted_out: bool = False
    spent: bool = False
    foreign: bool = False


LIMITED = "too many requests"
"""The reason of a NotSent that is no fault: the carrier works and asks for patience."""

MARGIN_MS = 250
"""What must be left of a code's life when its message goes out: an expired code is never sent."""

TOO_LATE = "too late to send it"
"""The reason of a NotSent that is no fault: nobody was asked, since nothing could have left in time."""

IN_PROGRESS = "the same key is still in progress"
"""The reason of an Unknown that is no fault: the carrier works at this very request."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly nothing was sent (no connection, or asked to come later): the same request may be tried again."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer was lost, so it may have been sent. Only the same bytes with the same key may follow."""

    reason: str


SendOutcome = Accepted | Refused | NotSent | Unknown


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What the carrier says of one message to one phone, by webhook or when polled.

    `to` is the recipient in E.164. `status` is the carrier's own, `occurred_ms` Unix milliseconds or 0. `cost`: what it
    cost to send, None where nothing is said.
    """

    message_id: str
    to: str
    status: str
    occurred_ms: int = 0
    error: Refused | None = None
    delivery_id: str | None = None
    cost: Cost | None = None


_FROM_CARRIER = {
    "queued": DeliveryStatus.SENT,
    "scheduled": DeliveryStatus.SENT,
    "sending": DeliveryStatus.SENT,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "delivery_unconfirmed": DeliveryStatus.UNCONFIRMED,
    "dlr_timeout": DeliveryStatus.UNCONFIRMED,
    "delivery_failed": DeliveryStatus.FAILED,
    "sending_failed": DeliveryStatus.FAILED,
    "failed": DeliveryStatus.FAILED,
    "gw_timeout": DeliveryStatus.FAILED,
    "expired": DeliveryStatus.FAILED,
    "cancelled": DeliveryStatus.FAILED,
}


def from_carrier(status: str) -> DeliveryStatus | None:
    """Translate the carrier's status of a message; None for one that we do not know (it changes nothing).

    `sent` here means that the carrier has taken it over: never report delivery on mere acceptance.
    """
    return _FROM_CARRIER.get(status)
