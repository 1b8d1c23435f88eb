"""GET /metrics: Prometheus' text format, for keys with the scope `metrics`.

Where a request comes from opens nothing: behind a proxy on this machine every request comes from this machine. Scrapers
without a key have a listener of their own (`runtime.metrics_server`).
"""

import contextlib
from collections.abc import Callable, Sequence

from ... import telemetry
from ...domain.circuit import Circuit
from ...domain.errors import StoreUnavailable
from ..http import NO_STORE, Call, Doc, Reply, Route

_OPENNESS = {"closed": 0.0, "half_open": 0.5, "open": 1.0}
_DOC = Doc(
    "Prometheus metrics",
    codes=("unauthorized", "forbidden", "store_unavailable", "not_ready"),
    media="text/plain",
    tag="operation",
    operation_id="getMetrics",
    description="Prometheus' text format. Scrapers without a key have the listener of `--metrics-port`.",
)


class MetricsRoutes:
    """Shows the metrics. `text` gives all of them."""

    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("GET", "/metrics", self.metrics, "metrics", _DOC)]

    def metrics(self, call: Call) -> Reply:
        """GET /metrics."""
        headers = {"Content-Type": telemetry.TEXT_FORMAT, **NO_STORE}
        return Reply(200, headers, self._text())


def measured_text(outbox_depth: Callable[[], int], circuits: Callable[[], Sequence[Circuit]]) -> bytes:
    """All metrics. Those that the store knows are measured now, if it answers."""
    with contextlib.suppress(StoreUnavailable):
        telemetry.OUTBOX_DEPTH.set(outbox_depth())
        for circuit in circuits():
            telemetry.CIRCUITS.labels(circuit.scope).set(_OPENNESS[circuit.state])
    return telemetry.metrics_text()
