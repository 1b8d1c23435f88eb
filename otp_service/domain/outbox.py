"""What delivery workers take from the outbox, and what a step on a delivery gives back."""

from dataclasses import dataclass, field
from enum import StrEnum

from .ids import Reference
from .prices import ExpectedCost, Settlement

LONGEST_SLEEP_MS = 250
"""A wait for the sender's rate that a worker's thread may sleep through. A longer one is spent in the store."""


@dataclass(frozen=True, slots=True)
class Job:
    """An outbox entry that one worker has claimed."""

    shard: int
    entry: str
    reference: Reference
    ordinal: int
    sender: str = ""
    """The name of the sender that is to send it; empty where the entry does not say it."""

    @property
    def delivery_id(self) -> str:
        """The public id of the delivery to make."""
        return self.reference.delivery_id(self.ordinal)


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """What a worker needs to write the request of a delivery that has none yet.

    `sealed_by` is the id of the key that sealed the box, or the request if there is one; empty if there is neither.
    """

    app: str
    sender: str
    channel: str
    locale: str
    autofill: str
    expires_ms: int
    now_ms: int
    box: str | None = field(repr=False)
    has_body: bool
    rate_limited: bool
    """It has waited for a slot in the sender's rate."""
    next_senders: tuple[str, ...] = ()
    """The names of the route's senders that are left for failover, in their order."""
    sealed_by: str = ""
    replaced: bool = False
    """The code has been sent again since: nothing more goes out by this delivery."""
    slot_ms: int | None = None
    """In how many milliseconds the slot of its sender's rate comes that was taken for it; None if none was."""
    untaken: ExpectedCost | None = None
    """The expected price that is to be taken before it goes out; None where it was taken, or none is known."""


@dataclass(frozen=True, slots=True)
class SendPermit:
    """The attempt is recorded: send these sealed bytes now. `left_ms` of the code's life are left."""

    sealed_body: str = field(repr=False)
    attempt: int
    left_ms: int


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """What a delivery report changed. `outcome`: `moved`, `same` or `foreign`. `sender`: whose message.

    `settlement`: what its cost corrects; None if it is no news.
    """

    outcome: str
    sender: str = ""
    settlement: Settlement | None = None


class TimerKind(StrEnum):
    """What is done when a timer is due. All kinds but `expiry` are about a delivery."""

    EXPIRY = "expiry"
    """The verification ends."""
    RETRY = "retry"
    """The delivery goes back into the outbox."""
    POLL = "poll"
    """The carrier is polled for a report."""
    FAILOVER = "failover"
    """The next sender gets the message if it was not sent in time."""
    RETURN = "return"
    """Slots of limits are given back, because the send was never accepted."""
    CLOSING = "closing"
    """No report is expected any more."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that is due. `kind` is a `TimerKind`, `ordinal` the delivery's (0 for `expiry`)."""

    shard: int
    kind: str
    reference: Reference
    ordinal: int

    @property
    def delivery_id(self) -> str:
        """The public id of the delivery; a timer of kind `expiry` has none."""
        return self.reference.delivery_id(self.ordinal)
