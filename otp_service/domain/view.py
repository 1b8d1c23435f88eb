"""A verification as it is shown: what the record holds, and what follows from it at the store's time."""

from collections.abc import Mapping
from dataclasses import dataclass

from .delivery import DeliveryStatus
from .ids import Reference
from .verification import Status


@dataclass(slots=True)
class DeliveryView:
    """A delivery as the record has it. `error` is the carrier's code and title."""

    ordinal: int
    sender: str
    kind: str
    status: DeliveryStatus
    carrier_status: str | None
    error: tuple[str, str] | None
    queued_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event of a verification."""

    event: str
    at_ms: int
    delivery_id: str | None
    detail: Mapping[str, object]


@dataclass(slots=True)
class VerificationView:
    """A verification as the record has it, at the store's time `now_ms`. `version` grows with every change.

    `subject` is the `sub` of its receipt, `metadata` the caller's JSON. `test`: it is of a test number.
    """

    reference: Reference
    app: str
    purpose: str
    channel: str
    mask: str
    subject: str
    status: Status
    created_ms: int
    expires_ms: int
    attempts: int
    max_checks: int
    sends: int
    max_sends: int
    next_send_ms: int
    metadata: str
    deliveries: tuple[DeliveryView, ...]
    version: int
    now_ms: int
    test: bool = False

    @property
    def expires_in(self) -> int:
        """Seconds until the code expires; 0 once the verification has ended."""
        return whole_seconds(self.expires_ms - self.now_ms) if self.status is Status.PENDING else 0

    @property
    def sends_left(self) -> int:
        """How many more times the code may be sent."""
        return max(0, self.max_sends - self.sends)

    @property
    def checks_left(self) -> int:
        """How many more guesses will be judged."""
        return max(0, self.max_checks - self.attempts)

    @property
    def resend_in(self) -> int | None:
        """Seconds until the code may be sent again; None if it never may."""
        if self.status is not Status.PENDING or self.sends_left == 0:
            return None
        return whole_seconds(self.next_send_ms - self.now_ms)


def whole_seconds(ms: int) -> int:
    """Whole seconds, rounded up so that a caller who waits that long passes; 0 for a time that is over."""
    return max(0, -(-ms // 1000))
