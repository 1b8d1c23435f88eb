"""GET /healthz and GET /readyz: whether the process lives, and whether it can do its work."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...domain.errors import ServiceError, StoreUnavailable
from ..http import Call, Doc, Reply, Route, reply
from ..problems import Problems
from ..schemas.health import Health

READY_FOR_S = 0.5
"""For so long one judgement of the checks is good."""

Check = Callable[[], str | None]
"""Raises a ServiceError where something is not ready; what it returns is a warning."""

_ALIVE = Doc("Liveness", None, Health, tag="operation", operation_id="getHealth")
_READY = Doc("Readiness", None, Health, codes=("not_ready",), tag="operation", operation_id="getReadiness")


@dataclass(frozen=True, slots=True)
class _Judgement:
    """Reasons for not being ready, and warnings; each with the name of its check."""

    reasons: list[dict[str, str]] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)


class HealthRoutes:
    """Runs the checks, which have names, at most every half second."""

    def __init__(self, checks: Sequence[tuple[str, Check]], problems: Problems) -> None:
        self._checks = checks
        self._problems = problems
        self._lock = threading.Lock()
        self._judged_at = 0.0
        self._judgement = _Judgement()

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("GET", "/healthz", self.healthz, None, _ALIVE, waits=False),
            Route("GET", "/readyz", self.readyz, None, _READY),
        ]

    def healthz(self, _: Call) -> Reply:
        """GET /healthz: the process lives, whatever the store does."""
        return reply(200, Health("ok"))

    def readyz(self, call: Call) -> Reply:
        """GET /readyz: everything that a request needs is there, if not for every number; otherwise the reasons."""
        judgement = self._judge()
        if not judgement.reasons:
            return reply(200, Health("ready", judgement.warnings))
        reasons = judgement.reasons
        detail = "The service is not ready: " + "; ".join(f"{item['check']}: {item['detail']}" for item in reasons)
        return self._problems.of("not_ready", detail, call.request_id, fields={"reasons": reasons})

    def _judge(self) -> _Judgement:
        with self._lock:
            if time.monotonic() - self._judged_at >= READY_FOR_S:
                self._judgement = self._run_checks()
                self._judged_at = time.monotonic()
            return self._judgement

    def _run_checks(self) -> _Judgement:
        found = _Judgement()
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
