"""What operators, browsers and verifiers of receipts fetch: health, metrics, public keys, the API's description."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from ... import telemetry
from ...domain.circuit import Circuit
from ...domain.errors import Refusal, ServiceError, StoreUnavailable
from ..auth import Auth, allow, from_loopback
from ..http import JSON, NO_STORE, Call, Doc, Reply, Route, reply
from ..openapi import describe
from ..problems import STATUS, Problems

READY_FOR_S = 0.5
_OPENNESS = {"closed": 0.0, "half_open": 0.5, "open": 1.0}
PUBLIC = {"Cache-Control": "public, max-age=300"}
DOCS_CSP = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Health(msgspec.Struct, omit_defaults=True):
    """The process answers. `warnings` name what does not work while the rest does: shards of a Cluster."""

    status: str
    warnings: list[dict[str, str]] = []


Check = Callable[[], str | None]
"""Raises a ServiceError where something is not ready; what it returns is a warning."""


class Jwks(msgspec.Struct):
    """The keys of the receipts (RFC 7517)."""

    keys: list[dict[str, str]]


class Admin:
    """The handlers. `checks` have names."""

    def __init__(
        self,
        *,
        auth: Auth,
        problems: Problems,
        checks: Sequence[tuple[str, Check]],
        jwks: Callable[[], dict[str, Any]],
        public_url: str,
        token: Callable[[], str],
        outbox_depth: Callable[[], int],
        circuits: Callable[[], Sequence[Circuit]],
    ) -> None:
        self._auth = auth
        self._problems = problems
        self._checks = checks
        self._jwks = jwks
        self._public_url = public_url
        self._token = token
        self._outbox_depth = outbox_depth
        self._circuits = circuits
        self._lock = threading.Lock()
        self._judged: tuple[float, list[dict[str, str]], list[dict[str, str]]] = (0.0, [], [])
        self._document = b"{}"

    def describe(self, routes: Sequence[Route]) -> None:
        """Make the OpenAPI document of all routes, once."""
        self._document = msgspec.json.encode(describe(routes, self._public_url))

    def healthz(self, _: Call) -> Reply:
        """GET /healthz: the process lives, whatever the store does."""
        return reply(200, Health("ok"))

    def readyz(self, call: Call) -> Reply:
        """GET /readyz: everything that a request needs is there, if not for every number; otherwise the reasons."""
        reasons, warnings = self._judge()
        if not reasons:
            return reply(200, Health("ready", warnings))
        detail = "The service is not ready: " + "; ".join(f"{item['check']}: {item['detail']}" for item in reasons)
        return self._problems.of("not_ready", detail, call.request_id, fields={"reasons": reasons})

    def _judge(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Reasons for not being ready, and warnings."""
        with self._lock:
            at, reasons, warnings = self._judged
            if time.monotonic() - at < READY_FOR_S:
                return reasons, warnings
            reasons, warnings = [], []
            for name, check in self._checks:
                try:
                    warning = check()
                    if warning is not None:
                        warnings.append({"check": name, "detail": warning})
                except ServiceError as error:
                    reasons.append({"check": name, "detail": error.detail})
                    if isinstance(error, StoreUnavailable):
                        break  # the others would only wait for the same store
            self._judged = (time.monotonic(), reasons, warnings)
            return reasons, warnings

    def metrics(self, call: Call) -> Reply:
        """GET /metrics: Prometheus' text format, for loopback or a key with the scope `metrics`."""
        if not from_loopback(call.peer, call.headers):
            principal = self._auth.authenticate(call.headers)
            refusal = principal if isinstance(principal, Refusal) else allow(principal, "metrics")
            if refusal is not None:
                return self._problems.refusal(refusal, call.request_id)
        with contextlib.suppress(StoreUnavailable):
            telemetry.OUTBOX_DEPTH.set(self._outbox_depth())
            for circuit in self._circuits():
                telemetry.CIRCUITS.labels(circuit.scope).set(_OPENNESS[circuit.state])
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", **NO_STORE}
        return Reply(200, headers, telemetry.metrics_text())

    def jwks(self, _: Call) -> Reply:
        """GET /.well-known/jwks.json: also the key that will sign next, for longer than the answer may be cached."""
        return Reply(200, {"Content-Type": JSON, **PUBLIC}, msgspec.json.encode(self._jwks()))

    def openapi(self, _: Call) -> Reply:
        """GET /openapi.json."""
        return Reply(200, {"Content-Type": JSON, **PUBLIC}, self._document)

    def docs(self, _: Call) -> Reply:
        """GET /docs: the same document for people, without anything from outside."""
        page = (files("otp_service.web") / "templates" / "docs.html").read_text(encoding="utf-8")
        nonce = self._token()
        rows = "".join(
            f'<tr id="{code}"><td><code>{code}</code></td><td>{status}</td><td>{title}</td></tr>'
            for code, (status, title) in sorted(STATUS.items())
        )
        body = page.replace("{{nonce}}", nonce).replace("{{codes}}", rows)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": DOCS_CSP.replace("{nonce}", nonce),
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return Reply(200, headers, body.encode())

    def routes(self) -> list[Route]:
        """The endpoints of this slice."""
        tag = "operation"
        return [
            Route("GET", "/healthz", self.healthz, None, Doc("Liveness", None, Health, tag=tag), waits=False),
            Route("GET", "/readyz", self.readyz, None, Doc("Readiness", None, Health, codes=("not_ready",), tag=tag)),
            Route(
                "GET",
                "/metrics",
                self.metrics,
                None,
                Doc(
                    "Prometheus metrics (loopback, or a key with the scope metrics)",
                    codes=("unauthorized", "forbidden", "store_unavailable"),
                    media="text/plain",
                    tag=tag,
                ),
            ),
            Route(
                "GET",
                "/.well-known/jwks.json",
                self.jwks,
                None,
                Doc("Keys of the receipts", None, Jwks, tag="receipts"),
            ),
            Route("GET", "/openapi.json", self.openapi, None, Doc("This document", None, dict, tag=tag)),
            Route("GET", "/docs", self.docs, None, Doc("This document for people", media="text/html", tag=tag)),
        ]
