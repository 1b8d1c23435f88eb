"""GET /healthz and GET /readyz: whether the process lives, and whether it can do its work."""

from collections.abc import Callable

from ..http import Call, Doc, Reply, Route, reply
from ..problems import Problems
from ..readiness import Judgement
from ..schemas.health import Health

_ALIVE = Doc(
    "Liveness",
    None,
    Health,
    tag="operation",
    operation_id="getHealth",
    description="200 as long as the process answers, whatever the store does.",
)
_READY = Doc(
    "Readiness",
    None,
    Health,
    codes=("not_ready",),
    tag="operation",
    operation_id="getReadiness",
    description="200 if everything that a request needs is there; else 503 with the `reasons`.",
)


class HealthRoutes:
    """Tells what `readiness` found. Neither route stands in a line with work."""

    def __init__(self, readiness: Callable[[], Judgement], problems: Problems) -> None:
        self._readiness = readiness
        self._problems = problems

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("GET", "/healthz", self.healthz, None, _ALIVE, waits=False),
            Route("GET", "/readyz", self.readyz, None, _READY, waits=False),
        ]

    def healthz(self, _: Call) -> Reply:
        """GET /healthz: the process lives, whatever the store does."""
        return reply(200, Health("ok"))

    def readyz(self, call: Call) -> Reply:
        """GET /readyz: everything that a request needs is there, if not for every number; otherwise the reasons."""
        judgement = self._readiness()
        if not judgement.reasons:
            return reply(200, Health("ready", judgement.warnings))
        reasons = judgement.reasons
        detail = "The service is not ready: " + "; ".join(f"{item['check']}: {item['detail']}" for item in reasons)
        return self._problems.of("not_ready", detail, call.request_id, fields={"reasons": reasons})
