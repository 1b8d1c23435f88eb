"""Starting a verification: the command for the store, and what the store may answer.

Each command carries an operation id. A repeat of the same operation gets the answer of the first one, so a lost reply
costs nothing. Times are the store's clock in Unix milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .admission import OuterAnswer
from .guarding import ASK, GuardNeeded, GuardPlace, GuardVerdict
from .ids import Reference
from .policy import TOMBSTONE_MS, App, Channel, NumberLimits, Sender
from .view import VerificationView

# What is made for every request (commands, views) is not frozen: twenty frozen fields take three times as long to set.

OPERATION_TTL_MS = 60_000
"""For so long a repeat of an operation gets the answer of the first one."""

KEYED_OPERATION_TTL_MS = 24 * 3_600_000
"""The same, where the repeat can be recognised by a key of the caller or by what it is about."""


@dataclass(slots=True)
class StartCommand:
    """Start a verification, or send the code of the pending one again. `digest` and `box` belong to `reference`.

    `digest_by_number` belongs to number and purpose: with it a check by number needs no look at the id before.

    `healthy` names the senders of the route that may be tried first if they reached this person the last time.
    `failover_route`: senders of another channel, which only failover uses. `outer_wait_ms` is not 0 where a limit apart
    from the number refuses; `outer_limit` names it. `outer_refusing`: of those that refuse, the ones that count the
    number with what the caller says. `send_slots` are given back if the send is never accepted. With a
    `challenge` a check needs its verifier (`binding`). `subject`: the keyed hash of the person whom the caller names,
    or empty. `test`: the number is a test number of the app, and nothing is sent to it. `notice`: the message has no
    code, and no code approves it.
    `guard_place`: where the number is, None if the pumping guard leaves this start alone; `guard`: what its budgets
    said (`guarding.ASK` as long as they were not asked); `guard_taken`: what was taken; `guard_turn`: when.
    `guard_quiet`: a refusal by them is not put on record.
    `spend`: whether the expected price was taken of what the app may spend today; None where it may spend any amount.
    `refused_before`: what a look at the start found. There is no room in the queue for it, then.
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
    digest_by_number: str = field(repr=False)
    box: str = field(repr=False)
    metadata: str
    locale: str
    autofill: str
    route: tuple[Sender, ...]
    healthy: tuple[str, ...]
    queue_max: int
    outer_wait_ms: int
    detail: str
    failover_route: tuple[Sender, ...] = ()
    per_number: NumberLimits = field(default_factory=NumberLimits)
    challenge: str = ""
    subject: str = ""
    tombstone_ms: int = TOMBSTONE_MS
    test: bool = False
    notice: bool = False
    outer_limit: str = ""
    outer_refusing: Sequence[OuterAnswer] = ()
    send_slots: Sequence[OuterAnswer] = ()
    guard_place: GuardPlace | None = None
    guard: str = ASK
    guard_taken: str = ""
    guard_turn: str = ""
    guard_quiet: bool = False
    spend: OuterAnswer | None = None
    refused_before: "StartRefused | None" = None


@dataclass(slots=True, kw_only=True)
class Started(VerificationView):
    """The send is durably queued: the verification right after that; at a replay, as it is now.

    `resent`: the code of an earlier verification was queued again. `replayed`: this operation ran before.
    `guarded`: `counted` if what the guard took is kept, `known` for a start of a known number that counts as one.
    `verdict`: what the guard's budgets said, where the store asked them by itself.
    """

    resent: bool
    replayed: bool = False
    guarded: str = ""
    verdict: GuardVerdict | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StartRefused:
    """Nothing was queued. `wait_ms` until it may pass; `sends_left` of the pending verification, or of a new one.

    `limit` names the limit that refuses, as the configuration does; "" where none does. `verification_id`: the pending
    one, for the log. `unguarded`: the guard's budgets were not asked, and would be. `quiet`: they refused this number
    a moment ago. `verdict` as in `Started`.
    """

    code: str
    wait_ms: int
    sends_left: int | None = None
    limit: str = ""
    verification_id: str | None = field(default=None, compare=False)
    unguarded: bool = field(default=False, compare=False)
    quiet: bool = field(default=False, compare=False)
    verdict: GuardVerdict | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class WouldSend:
    """A start would queue the code for this sender, named as in the configuration."""

    sender: str


StartAnswer = Started | StartRefused | GuardNeeded
