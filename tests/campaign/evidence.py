"""What the campaign saw, as plain values: the callers' journal, the carrier's, the service's own words, the faults.

Nothing here asks anybody (`gather` does) and nothing here judges (`judge` does), so that a test can doctor a piece of
evidence and see whether the judge notices. All times are Unix seconds of this machine, whose clock the store shares.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TERMINAL = frozenset({"delivered", "failed", "suppressed", "expired", "unconfirmed"})
"""Where a delivery may end. Everything else must not be its last word."""

_CODE = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a caller and what came back. `status` None: no answer, so nobody knows what became of it."""

    kind: str
    number: str
    began: float
    ended: float
    status: int | None
    code: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    verification_id: str = ""
    guess: str = ""
    replayed: bool = False
    api: str = ""

    @property
    def good(self) -> bool:
        """Whether it was answered with success."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived on a handset. `delivery_id` is where the carrier was told to report about it."""

    id: str
    number: str
    code: str
    received_at: float
    delivery_id: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A send as the carrier received it. `status` None: no status line ever left for it."""

    key: str
    number: str
    content: str
    status: int | None
    received_at: float
    answered_at: float | None


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to whom, from when to when. A kill ends when the successor has been started."""

    kind: str
    began: float
    ended: float
    target: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One audit event."""

    seq: str
    at: float
    type: str
    verification_id: str
    delivery_id: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What lies in the store at the end: work nobody did, letters nobody could read, and the record itself."""

    outbox: int = 0
    dead: int = 0
    overdue: int = 0
    audit_events: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the judge may look at."""

    max_checks: int
    judged_at: float
    calls: Sequence[Call] = ()
    messages: Sequence[Message] = ()
    requests: Sequence[Request] = ()
    verifications: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    events: Sequence[Event] = ()
    faults: Sequence[Fault] = ()
    store: StoreFacts = field(default_factory=StoreFacts)
    accidents: Sequence[str] = ()


def moment(text: str) -> float:
    """An RFC 3339 time as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()


def code_in(text: str) -> str:
    """The code in an SMS; empty if there is none."""
    found = _CODE.search(text)
    return found[0] if found else ""


def body_of(identifier: str) -> str:
    """What `vrf_BODY` and `dlv_BODY-N` have in common: the name of the verification."""
    kind, _, rest = identifier.partition("_")
    return rest.rpartition("-")[0] if kind == "dlv" else rest
