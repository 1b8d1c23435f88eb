"""What the stories ask of the store, and what it may answer: plain values that both sides share.

Each order carries an operation id: a repeat of the same operation is given the first one's answer, so a lost reply
costs nothing. Times are the store's clock in Unix milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .delivery import DeliveryStatus
from .ids import Reference
from .policy import App, Channel, NumberLimits, Sender
from .verification import Status

OPERATION_TTL_MS = 60_000
"""For so long a repeat of an operation is given the first one's answer."""


@dataclass(frozen=True, slots=True)
class StartCommand:
    """Start a verification, or send the pending one's code again. Digest and box belong to `reference`.

    `healthy` names the senders of the route that may be asked first if they reached this person the last time;
    `behind` are those of another channel, for a fall-over only.
    """

    operation_id: str
    operation_ttl_ms: int
    reference: Reference
    app: App
    purpose: str
    channel: Channel
    mask: str
    context_hash: str
    kid: str
    digest: str = field(repr=False)
    box: str = field(repr=False)
    metadata: str
    locale: str
    autofill: str
    route: tuple[Sender, ...]
    healthy: tuple[str, ...]
    queue_max: int
    outer_wait_ms: int
    detail: str
    behind: tuple[Sender, ...] = ()
    per_number: NumberLimits = field(default_factory=NumberLimits)


@dataclass(frozen=True, slots=True)
class Started:
    """The send is durably queued. `resent`: an earlier verification goes on; `replayed`: this operation ran before.

    `view` is the verification right after, but for a replay.
    """

    reference: Reference
    resent: bool
    replayed: bool = False
    view: "VerificationView | None" = None


@dataclass(frozen=True, slots=True)
class StartRefused:
    """Nothing was queued. `wait_ms` until it may pass; `sends_left` of the pending verification, or of a new one.

    `limit` names the limit that refuses, as the configuration does; "" where none does.
    """

    code: str
    wait_ms: int
    sends_left: int | None = None
    limit: str = ""


@dataclass(frozen=True, slots=True)
class CheckCommand:
    """One guess. `digests` holds it under every pepper in use; `by_purpose` names the purpose when asked by number.

    `asserted_number` (keyed hash) and `asserted_purpose` must be the verification's where they are not empty; else
    there is none for this order. `request_key` (a keyed hash of Idempotency-Key and body, or empty) marks the approval,
    and finds it again while the verification is remembered.
    """

    operation_id: str
    reference: Reference
    app: App
    receipt_id: str
    digests: Mapping[str, str] = field(repr=False)
    by_purpose: str | None = None
    asserted_number: str = ""
    asserted_purpose: str = ""
    request_key: str = ""
    per_number: NumberLimits = field(default_factory=NumberLimits)


@dataclass(frozen=True, slots=True)
class Approved:
    """The guess was right, and the first right one; or the repeat of it: `receipt_id` is then an earlier order's."""

    at_ms: int
    number_hash: str
    purpose: str
    channel: str
    context_hash: str
    receipt_id: str
    mask: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """The guess was wrong and counted."""

    checks_left: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The verification has ended (perhaps by this guess)."""

    status: Status


@dataclass(frozen=True, slots=True)
class Limited:
    """The number's budget of wrong codes is spent."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no such verification for this app."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """Another verification of the number has become the latest meanwhile."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """The verification was withdrawn."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The receipt was spent at `at_ms`, now (`first`) or before."""

    at_ms: int
    first: bool
    mask: str
    purpose: str


CheckAnswer = Approved | Wrong | Ended | Limited | NotFound | Superseded


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery as the record has it."""

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


@dataclass(frozen=True, slots=True)
class VerificationView:
    """A verification as the record has it, at the store's time `now_ms`. `version` grows with every change.

    `subject` is the `sub` of its receipt.
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


@dataclass(frozen=True, slots=True)
class Job:
    """An outbox entry in a worker's hands."""

    shard: int
    entry: str
    reference: Reference
    ordinal: int


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """What a worker needs to write the request of a delivery that has none yet.

    `sealed_by` is the id of the key of the box, or of the request if there is one; empty if there is neither.
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
    paced: bool
    rest: tuple[str, ...] = ()
    """The names of the route's senders that are left for a fall-over, in their order."""
    sealed_by: str = ""


@dataclass(frozen=True, slots=True)
class SendPermit:
    """The try is written down: send these sealed bytes now. `left_ms` of the code's life are left."""

    sealed_body: str = field(repr=False)
    attempt: int
    left_ms: int


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """What a receipt did: `outcome` is `moved`, `same`, `duplicate` or `foreign`; `sender` whose delivery moved."""

    outcome: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Denial:
    """A person's "that wasn't me": the apps that know the word, the senders it can have been written to.

    `at_ms` is when it was written by the carrier's clock, `heard_ms` when we first heard of it by the store's.
    """

    apps: frozenset[str]
    senders: frozenset[str]
    at_ms: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that has come.

    `kind` is `x` (expiry of a verification), `r` (retry), `p` (poll), `f` (fall-over in time) or `c` (closing).
    """

    shard: int
    kind: str
    reference: Reference
    ordinal: int


@dataclass(frozen=True, slots=True)
class OptOut:
    """What the registry knows of one person and one messaging profile."""

    messaging_profile_id: str
    opted_out: bool
    at_ms: int
    keyword: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An opt-out as it stood at one moment. `value` is the stored entry, by which a later change is noticed."""

    number_hash: str
    mask: str
    entry: OptOut
    value: str


@dataclass(frozen=True, slots=True)
class Block:
    """An entry of the carrier's list of opt-outs: the person `to` gets nothing more from the profile.

    `to` is as the carrier wrote it; `created_ms` is 0 if it did not say when.
    """

    to: str = field(repr=False)
    messaging_profile_id: str | None
    keyword: str | None
    created_ms: int


@dataclass(frozen=True, slots=True)
class BlockPage:
    """A page of that list, which one it says it is, and how long the whole list is now."""

    blocks: tuple[Block, ...]
    number: int
    total_pages: int
    total_results: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the reading of a profile's list has come.

    Everything created up to `done_ms` has been written. If `page` is not 0, a pass from there up to `edge_ms` is under
    way, and its pages up to `page` are still to be read.
    """

    done_ms: int = 0
    edge_ms: int = 0
    page: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """A message to the people on call. `id` is the same at every try to send it."""

    id: str
    text: str
