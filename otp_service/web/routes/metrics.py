"""GET /metrics: Prometheus' text format."""

import contextlib
from collections.abc import Callable, Sequence

from ... import telemetry
from ...domain.circuit import Circuit
from ...domain.errors import Refusal, StoreUnavailable
from ..auth import Auth, from_loopback
from ..http import NO_STORE, Call, Doc, Reply, Route
from ..problems import Problems

_OPENNESS = {"closed": 0.0, "half_open": 0.5, "open": 1.0}
_DOC = Doc(
    "Prometheus metrics (loopback, or a key with the scope metrics)",
    codes=("unauthorized", "forbidden", "store_unavailable"),
    media="text/plain",
    tag="operation",
    operation_id="getMetrics",
    description="Prometheus' text format. Over loopback no key is needed.",
    key_optional=True,
)


class MetricsRoutes:
    """Shows the metrics, to loopback or a key with the scope `metrics`."""

    def __init__(
        self,
        auth: Auth,
        problems: Problems,
        *,
        outbox_depth: Callable[[], int],
        circuits: Callable[[], Sequence[Circuit]],
    ) -> None:
        self._auth = auth
        self._problems = problems
        self._outbox_depth = outbox_depth
        self._circuits = circuits

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("GET", "/metrics", self.metrics, None, _DOC)]

    def metrics(self, call: Call) -> Reply:
        """GET /metrics."""
        refusal = self._refusal(call)
        if refusal is not None:
            return self._problems.refusal(refusal, call.request_id)
        with contextlib.suppress(StoreUnavailable):
            self._measure()
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", **NO_STORE}
        return Reply(200, headers, telemetry.metrics_text())

    def _refusal(self, call: Call) -> Refusal | None:
        if from_loopback(call.peer, call.headers):
            return None
        principal = self._auth.authenticate(call.headers)
        return principal if isinstance(principal, Refusal) else self._auth.allow(principal, "metrics")

    def _measure(self) -> None:
        telemetry.OUTBOX_DEPTH.set(self._outbox_depth())
        for circuit in self._circuits():
            telemetry.CIRCUITS.labels(circuit.scope).set(_OPENNESS[circuit.state])
