"""Whether this process can do its work: the last judgement of all checks.

A process that serves looks in the background (`keep_fresh`), and `/readyz` tells what was found last. So asking for it
costs no trip to the store and never waits for one, and however many ask, the store is asked as often.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..domain.errors import ServiceError, StoreUnavailable

GOOD_FOR_S = 0.5
"""For so long one judgement is good."""

STALE_S = 5.0
"""If no look has ended for so long, the process is not ready: whatever the checks ask does not answer."""

_log = logging.getLogger("otp.readiness")

Check = Callable[[], str | None]
"""Raises a ServiceError where something is not ready; what it returns is a warning."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Reasons for not being ready, and warnings; each with the name of its check."""

    reasons: list[dict[str, str]] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)


_ENDING = Judgement([{"check": "process", "detail": "This process was told to end."}])


class Readiness:
    """The checks, which have names, and what they said last. Safe for many threads."""

    def __init__(
        self,
        checks: Sequence[tuple[str, Check]],
        ending: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ending`: whether the process was told to end. Then it is not ready, whatever the checks say."""
        self._checks = checks
        self._ending = ending
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._judged_at = -STALE_S
        self._judgement = Judgement()

    def now(self) -> Judgement:
        """A judgement that is good; looks if there is none. Waits for whatever the checks ask."""
        with self._lock:
            if self._age_s() >= GOOD_FOR_S:
                self._judgement = self._run_checks()
                self._judged_at = self._monotonic()
            return self._judgement

    def last(self) -> Judgement:
        """What was found last. Waits for nothing."""
        if self._ending():
            return _ENDING
        if self._age_s() >= STALE_S:
            return Judgement([{"check": "readiness", "detail": "The checks have not ended for a while."}])
        return self._judgement

    def keep_fresh(self, pause: Callable[[float], bool]) -> None:
        """Look again and again until `pause`, which waits so many seconds, says that the process ends."""
        while not pause(GOOD_FOR_S):
            try:
                self.now()
            except Exception:  # noqa: BLE001 - whatever it is, the judgement ages and then says it
                _log.error("unexpected", exc_info=True)

    def _age_s(self) -> float:
        return self._monotonic() - self._judged_at

    def _run_checks(self) -> Judgement:
        found = Judgement()
        for name, check in self._checks:
            try:
                warning = check()
                if warning is not None:
                    found.warnings.append({"check": name, "detail": warning})
            except ServiceError as error:
                found.reasons.append({"check": name, "detail": error.detail})
                if isinstance(error, StoreUnavailable):
                    break  # the others would only wait for the same store
        return found
