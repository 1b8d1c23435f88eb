"""Recording how a send ended. Each of the four outcomes has one record in the outbox.

`Accepted`: the message is at the carrier. `Refused`: nothing was sent, and the next sender of the route may have it.
`NotSent`: nothing was sent, and the same request follows after a wait. `Unknown`: it may have been sent, so only the
same request may follow, after a wait.
"""

import logging
from collections.abc import Callable
from typing import assert_never

from ..domain.backoff import Backoff
from ..domain.delivery import Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from ..domain.outbox import Job
from . import ports

LONGEST_SHORT_WAIT_MS = 5_000
SHORTEST_WAIT_MS = 500
"""Between two tries, whatever the carrier asks for: one that answers "at once" must not be asked in a loop."""

JITTER = (0.75, 1.25)
_AFTER_NOT_SENT = Backoff((500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000), JITTER)
_AFTER_UNKNOWN = Backoff((2_000, 3_000, 5_000, 10_000, 20_000, 40_000), JITTER)

_LOGGED_AS_ERRORS = (Action.BAD_REQUEST, Action.STOP_SENDER, Action.STOP_PROFILE, Action.STOP_ALL)
"""Refusals that an operator must repair, if only a text of ours. An alert is raised when a breaker opens by them."""

_log = logging.getLogger("otp.deliver")


class RecordSend:
    """Writes outcomes to the outbox and the log. `random` gives [0, 1)."""

    def __init__(self, *, outbox: ports.OutboxPort, random: Callable[[], float]) -> None:
        self._outbox = outbox
        self._random = random

    def record(self, job: Job, outcome: SendOutcome, *, sender: str, attempt: int) -> None:
        """Record the outcome of the n-th try, counted from 1. Raises StoreUnavailable."""
        extra = {"delivery_id": job.delivery_id, "sender": sender, "try": attempt}
        match outcome:
            case Accepted():
                self._outbox.record_accepted(job, outcome)
                _log.info("accepted by the carrier", extra=extra)
            case Refused():
                self._refused(job, outcome, extra)
            case NotSent():
                self._not_sent(job, outcome, attempt, extra)
            case Unknown():
                self._unknown(job, outcome, attempt, extra)
            case _:
                assert_never(outcome)

    def _refused(self, job: Job, outcome: Refused, extra: dict[str, object]) -> None:
        level = logging.ERROR if outcome.action in _LOGGED_AS_ERRORS else logging.WARNING
        extra |= {"carrier_code": outcome.code, "action": str(outcome.action)}
        _log.log(level, "refused by the carrier", extra=extra)
        self._outbox.record_refused(job, outcome)

    def _not_sent(self, job: Job, outcome: NotSent, attempt: int, extra: dict[str, object]) -> None:
        wait_ms = self._retry_wait_ms(outcome, attempt)
        _log.warning("not sent", extra={**extra, "reason": outcome.reason, "wait_ms": wait_ms})
        self._outbox.record_retry(job, wait_ms, outcome)

    def _retry_wait_ms(self, outcome: NotSent, attempt: int) -> int:
        wait_ms = _AFTER_NOT_SENT.wait_ms(attempt, self._random())
        if outcome.retry_after_s is None:
            return wait_ms
        # Not sooner than the carrier asks for, nor every moment for as long as a code lives.
        return max(int(outcome.retry_after_s * 1000), min(wait_ms, LONGEST_SHORT_WAIT_MS), SHORTEST_WAIT_MS)

    def _unknown(self, job: Job, outcome: Unknown, attempt: int, extra: dict[str, object]) -> None:
        wait_ms = _AFTER_UNKNOWN.wait_ms(attempt, self._random())
        _log.warning("the answer was lost", extra={**extra, "reason": outcome.reason, "wait_ms": wait_ms})
        self._outbox.record_unknown(job, wait_ms, outcome)
