"""Recording how a send ended. Each of the four outcomes has one record in the outbox.

`Accepted`: the message is at the carrier. `Refused`: nothing was sent, and the next sender of the route may have it.
`NotSent`: nothing was sent, and the same request follows after a wait. `Unknown`: it may have been sent, so only the
same request may follow, after a wait.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from ..domain.backoff import Backoff
from ..domain.delivery import Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from ..domain.outbox import Job
from . import ports

LONGEST_SHORT_WAIT_MS = 5_000
SHORTEST_WAIT_MS = 500
"""Between two attempts, whatever the carrier asks for: if it asks for "at once", there must be no busy loop."""

JITTER = (0.75, 1.25)
_AFTER_NOT_SENT = Backoff((500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000), JITTER)
_AFTER_UNKNOWN = Backoff((2_000, 3_000, 5_000, 10_000, 20_000, 40_000), JITTER)

_LOGGED_AS_ERRORS = (Action.BAD_REQUEST, Action.STOP_SENDER, Action.STOP_PROFILE, Action.STOP_ALL)
"""Refusals that an operator must repair, if only a text of ours. An alert is raised when a breaker opens by them."""

_log = logging.getLogger("otp.deliver")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The n-th attempt of a delivery, counted from 1, by one sender."""

    job: Job
    sender: str
    number: int

    def log_fields(self) -> dict[str, object]:
        """The fields of every log line about it."""
        return {"delivery_id": self.job.delivery_id, "sender": self.sender, "try": self.number}


class RecordSend:
    """Writes outcomes to the outbox and the log. `random` gives [0, 1)."""

    def __init__(self, *, deliveries: ports.Deliveries, random: Callable[[], float]) -> None:
        self._deliveries = deliveries
        self._random = random

    def record(self, attempt: Attempt, outcome: SendOutcome) -> None:
        """Record how an attempt ended. Raises StoreUnavailable."""
        match outcome:
            case Accepted():
                self._deliveries.record_accepted(attempt.job, outcome)
                _log.info("accepted by the carrier", extra=attempt.log_fields())
            case Refused():
                self._refused(attempt, outcome)
            case NotSent():
                self._not_sent(attempt, outcome)
            case Unknown():
                self._unknown(attempt, outcome)
            case _:
                assert_never(outcome)

    def _refused(self, attempt: Attempt, outcome: Refused) -> None:
        level = logging.ERROR if outcome.action in _LOGGED_AS_ERRORS else logging.WARNING
        extra = {**attempt.log_fields(), "carrier_code": outcome.code, "action": str(outcome.action)}
        _log.log(level, "refused by the carrier", extra=extra)
        self._deliveries.record_refused(attempt.job, outcome)

    def _not_sent(self, attempt: Attempt, outcome: NotSent) -> None:
        wait_ms = self._retry_wait_ms(outcome, attempt.number)
        _log.warning("not sent", extra={**attempt.log_fields(), "reason": outcome.reason, "wait_ms": wait_ms})
        self._deliveries.record_retry(attempt.job, wait_ms, outcome)

    def _retry_wait_ms(self, outcome: NotSent, number: int) -> int:
        wait_ms = _AFTER_NOT_SENT.wait_ms(number, self._random())
        if outcome.retry_after_s is None:
            return wait_ms
        # Not sooner than the carrier asks for, nor every moment for as long as a code lives.
        return max(int(outcome.retry_after_s * 1000), min(wait_ms, LONGEST_SHORT_WAIT_MS), SHORTEST_WAIT_MS)

    def _unknown(self, attempt: Attempt, outcome: Unknown) -> None:
        wait_ms = _AFTER_UNKNOWN.wait_ms(attempt.number, self._random())
        extra = {**attempt.log_fields(), "reason": outcome.reason, "wait_ms": wait_ms}
        _log.warning("the answer was lost", extra=extra)
        self._deliveries.record_unknown(attempt.job, wait_ms, outcome)
