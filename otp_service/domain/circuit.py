"""Circuit breakers: what a sender's, a profile's or the account's trouble at the carrier means for the next message.

Three scopes, each with a breaker of its own in the store: one sender, one messaging profile (its money), the account
(credentials, funds). One person's message opens none of them, whatever the carrier answers to it, but for the codes in
`findings.AT_ONCE`: it takes different numbers in a row, or a probe that fails too. Two kinds of trouble:

* A *fault* is a request that came to nothing on its way: no connection, no answer, a 5xx. Faults of `TRIPS_AFTER`
  numbers in a row open the sender's breaker for seconds; then one message probes, and each probe that fails doubles the
  pause.
* A *hold* follows the carrier's statement that a sender, a profile or the account is out of order. The same statement
  about `HOLDS_AFTER` numbers in a row opens the breaker for the time that the code implies. Where an operator can mend
  it sooner, one message now and then probes whether they have.

A pause for lack of answers is waited for. A hold only changes who is asked first: where all senders of a delivery are
held, the one whose hold ends soonest is tried, so that no code ends unsent because of what other messages met.

What an outcome means for breakers is in `findings`. They are stored in `storage.circuits` and used by
`usecases.sender_health`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from .policy import Sender

ACCOUNT = "account"
TRIPS_AFTER = 5
"""Numbers in a row whose requests came to nothing. One number counts once: its message is retried, and whatever is
wrong with that one message would otherwise count five times. A carrier that is down meets five numbers in a moment
where there is traffic; where there is little, each message waits for itself anyway."""

HOLDS_AFTER = 3
"""Numbers in a row about which the carrier says the same of a sender, a profile or the account. One or two may be odd
messages or odd phones; each goes to the next sender meanwhile, so waiting for the third costs little."""

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
HOLD_WINDOW_MS = HOUR_MS
"""The numbers of `HOLDS_AFTER` are met in this time. A success in between begins anew, so it may be long: a sender with
three messages an hour is noticed too."""


class Source(StrEnum):
    """Where a statement of the carrier stands: in its answer to a send, or in a delivery report that came later."""

    ANSWER = "answer"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Hold:
    """Open the scope's breaker for `for_ms` (None: to midnight UTC), and let one message probe every `probe_ms`.

    `after` different numbers must have met the code, by the same `source`, with no success in between.
    """

    scope: str
    code: str
    title: str
    for_ms: int | None
    probe_ms: int
    after: int = HOLDS_AFTER
    source: Source = Source.ANSWER


@dataclass(frozen=True, slots=True)
class Fault:
    """Count a fault of the scope."""

    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class Success:
    """The scope works: close its breaker. `sent`: a message was accepted, so refusals are no longer in a row."""

    scope: str
    sent: bool = False


Finding = Hold | Fault | Success


@dataclass(frozen=True, slots=True)
class Circuit:
    """A breaker as the store has it at its time `now_ms`.

    `until_ms` None: closed; `probe_ms`: when the next message may try; `is_hold`: a hold, not faults. `counted`: by
    which sources refusals are being counted that have not opened it.
    """

    scope: str
    until_ms: int | None = None
    probe_ms: int = 0
    code: str = ""
    title: str = ""
    faults: int = 0
    is_hold: bool = False
    now_ms: int = 0
    counted: frozenset[Source] = frozenset()

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half_open`: it is time for a message to probe."""
        if self.until_ms is None:
            return "closed"
        return "open" if self.now_ms < self.probe_ms else "half_open"


@dataclass(frozen=True, slots=True)
class BreakerDecision:
    """Whether a message may go now. If not: how long to wait at least, and who says so."""

    passes: bool
    wait_ms: int = 0
    code: str = ""
    title: str = ""
    is_hold: bool = False
    probe: bool = False


PASS = BreakerDecision(True)


def stopped_by(circuit: Circuit) -> BreakerDecision:
    """What an open breaker says to a message."""
    wait_ms = max(1, circuit.probe_ms - circuit.now_ms)
    return BreakerDecision(False, wait_ms, circuit.code, circuit.title, circuit.is_hold)


def profile_scope(profile: str) -> str:
    """The scope of a messaging profile."""
    return f"profile:{profile}"


def sender_scope(name: str) -> str:
    """The scope of a sender."""
    return f"sender:{name}"


def scopes(sender: Sender) -> tuple[str, str, str]:
    """All breakers on a message's way, the widest first."""
    return _scopes(sender.messaging_profile_id, sender.name)


@cache
def _scopes(profile: str, name: str) -> tuple[str, str, str]:
    # Asked for several times by each send; as many as there are senders in the configuration.
    return ACCOUNT, profile_scope(profile), sender_scope(name)


def held_until(circuits: Iterable[Circuit]) -> int | None:
    """When the last hold among a sender's breakers ends (store's ms), 0 if there is none; None if nobody answers there.

    What ends sooner is the better sender of two that are held.
    """
    tripped = [circuit for circuit in circuits if circuit.until_ms is not None]
    if any(circuit.state == "open" and not circuit.is_hold for circuit in tripped):
        return None
    return max((circuit.until_ms or 0 for circuit in tripped if circuit.is_hold), default=0)
