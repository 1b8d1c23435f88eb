"""One callback: an event of a verification on its way to the app, and when it is tried again.

Not here: where it may go (`receiver_url`), the signature and the network (`receivers`), the queue
(`storage.callbacks`).
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .audit import Event, EventType
from .backoff import Backoff

FACTOR_EVENTS = frozenset(
    {
        EventType.FACTOR_ENROLLED,
        EventType.FACTOR_ADDED,
        EventType.FACTOR_RENAMED,
        EventType.FACTOR_REMOVED,
        EventType.FACTOR_APPROVED,
        EventType.FACTOR_FAILED,
        EventType.FACTOR_REPLAYED,
        EventType.CODES_REPLACED,
        EventType.CODES_LOW,
        EventType.SUBJECT_LIFTED,
        EventType.NUMBER_TOLD,
    }
)
"""Of these the callback is about a factor: it says what the event says."""

EVENTS = FACTOR_EVENTS | frozenset(
    {
        EventType.STARTED,
        EventType.RESENT,
        EventType.APPROVED,
        EventType.EXPIRED,
        EventType.EXHAUSTED,
        EventType.CANCELED,
        EventType.DENIED,
        EventType.CHECK_FAILED,
        EventType.SENT,
        EventType.DELIVERED,
        EventType.FAILED,
        EventType.UNCONFIRMED,
        EventType.UNKNOWN,
        EventType.SUPPRESSED,
        EventType.DELIVERY_EXPIRED,
        EventType.FELL_BACK,
    }
)
"""The events that apps get callbacks for. The timeline of the next one has the steps between (queued, sending, …)."""

MAX_BODY = 20_000
"""Bytes. Standard Webhooks asks for less than 20 kB; a body that would be longer leaves out the timeline."""

RETRIES = Backoff((5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 21_600_000), jitter=(1.0, 1.2))
"""The waits before the 2nd to the 8th attempt, some nine hours in all. Then a callback is a dead letter."""

MAX_RETRY_AFTER_MS = 3_600_000
"""A receiver may ask for so much patience, and no more."""

GONE_PAUSE_MS = 3_600_000
"""After a 410 nothing is sent to the endpoint for so long."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an app receives callbacks.

    `secrets`: each of them signs. `allow_private` lets addresses of a closed network through.
    """

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    allow_private: bool = False

    @property
    def host(self) -> str:
        """For logs and people: the path may hold a token, the host does not."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback as it is queued. `id` and `body` stay the same at every attempt; `attempt` counts from 1."""

    id: str
    app: str
    type: str
    verification: str
    body: str = field(repr=False)
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A callback in the queue or among the dead letters, for people to look at.

    `at_ms` is when it is sent next, or when it died; `reason` why the last attempt failed, empty if there was none.
    """

    id: str
    app: str
    type: str
    verification: str
    dead: bool
    attempts: int
    queued_ms: int
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How one attempt ended: the receiver's status, 0 if there was none, and then the reason.

    `retry_after_s` is what the receiver asked for, if it did.
    """

    status: int
    reason: str = ""
    retry_after_s: float | None = None

    @property
    def accepted(self) -> bool:
        """Only 2xx is success: a redirect, too, is a refusal."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Try again after `wait_ms`; for `pause_ms` send nothing at all to the endpoint (0: others may go)."""

    wait_ms: int
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt: a dead letter. For `pause_ms` nothing is sent to the endpoint."""

    pause_ms: int = 0


def callback_id(event: Event) -> str:
    """The `webhook-id`: of the event, so it is the same however often the event is read or the callback sent."""
    return f"evt_{event.seq}"


def judge(answer: Answer, attempt: int, chance: float) -> RetryLater | GiveUp | None:
    """What to do after the n-th attempt; None if it arrived. `chance` is 0 up to 1."""
    if answer.accepted:
        return None
    if answer.status == 410:
        return GiveUp(GONE_PAUSE_MS)
    asked_ms = _asked_ms(answer)
    if attempt > len(RETRIES.steps_ms):
        return GiveUp(asked_ms)
    return RetryLater(max(RETRIES.wait_ms(attempt, chance), asked_ms), asked_ms)


def _asked_ms(answer: Answer) -> int:
    if answer.status not in (429, 502, 503, 504) or answer.retry_after_s is None:
        return 0
    return min(MAX_RETRY_AFTER_MS, max(0, int(answer.retry_after_s * 1_000)))
