"""What the campaign observed, as plain values: requests, messages, the service's responses, the faults.

`collect` gathers them and `judge` judges them. A test can therefore change a value and check that the judge reports
it. All times are Unix seconds of this machine, whose clock the store shares.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TERMINAL = frozenset({"delivered", "failed", "suppressed", "expired", "unconfirmed"})
"""The final statuses of a delivery."""

_CODE = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a caller and its response. `status` None: there was no response, so its effect is unknown."""

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
    to: str = ""
    """The number that the body of a check names; empty if it names none."""

    by_number: bool = False
    """Whether a check names the number alone. `verification_id` is then the latest that the caller was told of."""

    context: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    """Whose factors a request is about."""

    factor_id: str = ""
    """The factor that a request names."""

    keyed: bool = False
    """Whether it had an Idempotency-Key."""

    tried: Sequence[str] = ()
    """The API processes that the request was sent to, in order: one that refuses the connection is followed by another.
    """

    @property
    def good(self) -> bool:
        """Whether the response was 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Message:
    """A message on a phone. `delivery_id` is the delivery that made it."""

    id: str
    number: str
    code: str
    received_at: float
    delivery_id: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person wrote to the service: `STOP`, `START` or `NO`. `at`: when the carrier received it."""

    number: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Taken:
    """A reply whose webhook an API process answered with 2xx, then."""

    number: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback as the app's endpoint received it. `digest` is of the raw body, `signed` whether the app's secret is
    behind its signature."""

    id: str
    type: str
    verification_id: str
    digest: str
    received_at: float
    signed: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send as the carrier received it. `status` None: the carrier sent no status for it."""

    key: str
    number: str
    content: str
    status: int | None
    received_at: float
    answered_at: float | None


@dataclass(frozen=True, slots=True)
class Fault:
    """An injected fault. A kill ends when the process has been started again."""

    kind: str
    began: float
    ended: float
    target: str = ""
    slots: Sequence[tuple[int, int]] = ()
    """The slots of a Cluster that nobody served meanwhile: the first and the last of each range."""


@dataclass(frozen=True, slots=True)
class FailedStart:
    """A process of the service that ended by itself while it was starting."""

    name: str
    began: float
    ended: float
    report: str


@dataclass(frozen=True, slots=True)
class Event:
    """One audit event."""

    seq: str
    at: float
    type: str
    verification_id: str
    delivery_id: str
    detail: Mapping[str, Any]
    to: str = ""
    """The number's mask."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """Counts in the store at the end: outbox entries, dead letters, overdue timers and audit events."""

    outbox: int = 0
    dead: int = 0
    overdue: int = 0
    audit_events: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the judge knows.

    `accidents` has one line for each process that ended by itself, and the like, `troubles` one for each caller that
    the campaign itself let down: they say nothing about the service. `pauses` are the times in which the
    campaign's own process did not run: (from, to). `probes` are requests to `/healthz`. `wrong_codes_per_number` is the
    configured limit, 0 for none. `slow_disk`: a server of the store says that it was late in writing its file. `slots`:
    in which slot of a Cluster the data of each number is, and under the kind of a call, what each call of that kind
    touches beside its number's. `callbacks` is None if the app has no endpoint. `second_judge`: what the service's own
    judge says of its record.
    """

    max_checks: int
    judged_at: float
    wrong_codes_per_number: int = 0
    calls: Sequence[Call] = ()
    messages: Sequence[Message] = ()
    requests: Sequence[Request] = ()
    verifications: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    events: Sequence[Event] = ()
    faults: Sequence[Fault] = ()
    store: StoreFacts = field(default_factory=StoreFacts)
    accidents: Sequence[str] = ()
    failed_starts: Sequence[FailedStart] = ()
    slow_disk: bool = False
    troubles: Sequence[str] = ()
    replies: Sequence[Reply] = ()
    taken: Sequence[Taken] = ()
    callbacks: Sequence[Callback] | None = None
    second_judge: Sequence[str] = ()
    pauses: Sequence[tuple[float, float]] = ()
    probes: Sequence[Call] = ()
    slots: Mapping[str, Sequence[int]] = field(default_factory=dict)


def moment(text: str) -> float:
    """An RFC 3339 time as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()


def code_in(text: str) -> str:
    """The six-digit code in an SMS; empty if there is none."""
    found = _CODE.search(text)
    return found[0] if found else ""


def mask_of(number: str) -> str:
    """The number as the service shows it: country code and last four digits."""
    return f"{number[:2]}{'*' * (len(number) - 6)}{number[-4:]}"


def verification_part(identifier: str) -> str:
    """The common part X of `vrf_X` and `dlv_X-N`, which names the verification."""
    kind, _, rest = identifier.partition("_")
    return rest.rpartition("-")[0] if kind == "dlv" else rest
