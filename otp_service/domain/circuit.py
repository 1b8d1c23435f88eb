"""Circuit breakers: what a sender's, a profile's or the account's trouble at the carrier means for the next message.

Three scopes, each with a breaker of its own in the store: one sender, one messaging profile (its money), the account
(credentials, funds). Two kinds of trouble:

* A *fault* is a request that came to nothing on its way: no connection, no answer, a 5xx. A few in a row open the
  sender's breaker for seconds; then one message probes, and each probe that fails doubles the pause.
* A *hold* is the carrier's clear word that nothing will go out for a while: it opens the breaker at once, until the
  time that the word implies. Where an operator can mend it sooner, one message now and then probes whether they have.

Pure rules; where breakers are kept is `storage.circuits`, who asks them `usecases.guard`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .delivery import IN_PROGRESS, LIMITED, TOO_LATE, Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from .policy import Sender

ACCOUNT = "account"
TRIPS_AFTER = 5
"""Faults in a row."""

FAULT_WINDOW_MS = 30_000
"""A row of faults is no longer than this."""

FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 10_000
"""Short against a code's life: where no other sender is left, codes wait for a probe."""

PROBE_MS = 8_000
"""A probe that says nothing for so long is given up, and another message probes. A request takes no longer."""

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
PUMPING = "40020"
"""The carrier blocks a sender's codes for a day because the traffic looks inflated."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Open the scope's breaker for `for_ms` (None: to midnight UTC), and let one message probe every `probe_ms`."""

    scope: str
    code: str
    title: str
    for_ms: int | None
    probe_ms: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Count a fault of the scope."""

    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fine:
    """The scope works: close its breaker."""

    scope: str


Finding = Hold | Fault | Fine


@dataclass(frozen=True, slots=True)
class Circuit:
    """A breaker as the store has it at its time `now_ms`.

    `until_ms` None: closed; `probe_ms`: when the next message may try; `lasting`: a hold, not faults.
    """

    scope: str
    until_ms: int | None = None
    probe_ms: int = 0
    code: str = ""
    title: str = ""
    faults: int = 0
    lasting: bool = False
    now_ms: int = 0

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half_open`: it is time for a message to probe."""
        if self.until_ms is None:
            return "closed"
        return "open" if self.now_ms < self.probe_ms else "half_open"


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a message may go now. If not: how long to wait at least, and who says so."""

    passes: bool
    wait_ms: int = 0
    code: str = ""
    title: str = ""
    lasting: bool = False
    probe: bool = False
    may_fall: bool = True
    """Whether another sender may get through: not where the account itself is held."""


PASS = Gate(True)


def profile_scope(profile: str) -> str:
    """The scope of a messaging profile."""
    return f"profile:{profile}"


def sender_scope(name: str) -> str:
    """The scope of a sender."""
    return f"sender:{name}"


def scopes(sender: Sender) -> tuple[str, str, str]:
    """All breakers on a message's way, the widest first."""
    return ACCOUNT, profile_scope(sender.messaging_profile_id), sender_scope(sender.name)


def spent(profile: str, code: str, title: str) -> Hold:
    """A profile has reached its daily spend limit: nothing before midnight UTC, unless somebody raises it."""
    return Hold(profile_scope(profile), code, title, None, HOUR_MS)


def findings(outcome: SendOutcome, sender: Sender) -> Sequence[Finding]:
    """What the carrier's answer to a send says of the breakers on its way."""
    own = sender_scope(sender.name)
    match outcome:
        case Accepted():
            return [Fine(scope) for scope in scopes(sender)]
        case Refused():
            held = refusal_hold(outcome, sender)
            # Any refusal is an answer; one that is about the person or the message says that all else works.
            return [held] if held is not None else [Fine(ACCOUNT), Fine(own)]
        case NotSent(reason=reason) if reason not in (LIMITED, TOO_LATE):
            return [Fault(own, reason)]
        case Unknown(reason=reason) if reason != IN_PROGRESS:
            return [Fault(own, reason)]
        case _:
            return []


def refusal_hold(refusal: Refused, sender: Sender) -> Hold | None:
    """The hold that a refusal, or a failed delivery's error, asks for; None if it is not about us."""
    code, title = refusal.code, refusal.title
    if refusal.spent:
        return spent(sender.messaging_profile_id, code, title)
    if refusal.action is Action.STOP_ALL:
        return Hold(ACCOUNT, code, title, DAY_MS, MINUTE_MS // 2)
    if code == PUMPING:
        return Hold(sender_scope(sender.name), code, title, DAY_MS, DAY_MS)
    if refusal.action is Action.STOP_SENDER:
        return Hold(sender_scope(sender.name), code, title, 10 * MINUTE_MS, MINUTE_MS)
    return None
