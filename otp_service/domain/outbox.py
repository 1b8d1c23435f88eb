"""What delivery workers take from the outbox, and what a step on a delivery gives back."""

from dataclasses import dataclass, field

from .ids import Reference


@dataclass(frozen=True, slots=True)
class Job:
    """An outbox entry that one worker has claimed."""

    shard: int
    entry: str
    reference: Reference
    ordinal: int

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
    next_senders: tuple[str, ...] = ()
    """The names of the route's senders that are left for failover, in their order."""
    sealed_by: str = ""


@dataclass(frozen=True, slots=True)
class SendPermit:
    """The attempt is recorded: send these sealed bytes now. `left_ms` of the code's life are left."""

    sealed_body: str = field(repr=False)
    attempt: int
    left_ms: int


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """What a delivery report changed. `outcome`: `moved`, `same`, `duplicate` or `foreign`. `sender`: whose message."""

    outcome: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that has come.

    `kind` is `expiry` (of a verification), `retry`, `poll`, `failover` (in time) or `closing`.
    """

    shard: int
    kind: str
    reference: Reference
    ordinal: int

    @property
    def delivery_id(self) -> str:
        """The public id of the delivery; only a timer of kind `expiry` has none."""
        return self.reference.delivery_id(self.ordinal)
