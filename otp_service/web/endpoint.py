"""One request from beginning to end, without a framework: key, form, story, and the answer to every fault.

The order of refusals is here: 401, what an Idempotency-Key remembers, 403, 413, then the handler's own.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from .. import telemetry
from ..domain.errors import InvalidRequest, NotReady, Refusal, ServiceError, StoreUnavailable
from ..storage.api_keys import Principal
from .auth import Auth, allow
from .bodies import PayloadTooLarge
from .http import MAX_BODY, Call, Precheck, Reply, Route
from .problems import Problems

ALWAYS = {"X-Content-Type-Options": "nosniff"}
_log = logging.getLogger("otp.web")

ReadBody = Callable[[int], bytes]
"""Reads at most that many bytes of the request's body."""


class Turnstile:
    """How many strangers' bodies are read at once. Each holds a thread for as long as its sender likes, and a server
    has few: without this, four slow webhooks would keep every login waiting.
    """

    def __init__(self, places: int = 2, patience_s: float = 0.25, closed_s: float = 1.0) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._patience_s = patience_s
        self._closed_s = closed_s
        self._closed_until = 0.0

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Read a body inside. Raises NotReady if nobody gets through; for a while then nobody waits, either."""
        wait = self._patience_s if time.monotonic() >= self._closed_until else 0.0
        if not self._places.acquire(timeout=wait):
            self._closed_until = time.monotonic() + self._closed_s
            raise NotReady("Too many bodies arrive too slowly.")
        try:
            yield
        finally:
            self._places.release()


class Endpoint:
    """Serves one route. Never raises."""

    def __init__(
        self,
        route: Route,
        auth: Auth,
        problems: Problems,
        new_request_id: Callable[[], str],
        strangers: Turnstile,
    ) -> None:
        self.route = route
        self._strangers = strangers
        self._auth = auth
        self._problems = problems
        self._new_request_id = new_request_id

    def __call__(
        self,
        path: Mapping[str, str],
        query: Mapping[str, Sequence[str]],
        headers: Mapping[str, str],
        read_body: ReadBody,
        peer: str,
    ) -> Reply:
        """Answer one request."""
        began = time.perf_counter()
        call = Call(path, query, headers, b"", peer, self._new_request_id())
        try:
            answer = self._answer(call, read_body)
        except ServiceError as error:
            if isinstance(error, StoreUnavailable):
                telemetry.STORE_ERRORS.inc()
            answer = self._problems.error(error, call.request_id)
            if answer.status >= 500:
                _log.error("not able to answer", exc_info=True, extra=self._extra(call))
        except Exception:  # noqa: BLE001 - the edge of the house: whatever it is, the caller gets a clear 500
            _log.error("unexpected", exc_info=True, extra=self._extra(call))
            answer = self._problems.hidden("internal_error", call.request_id)
        return self._finish(call, answer, began)

    def _answer(self, call: Call, read_body: ReadBody) -> Reply:
        route = self.route
        if route.scope is None:
            if route.method != "GET":
                with self._strangers.passing():
                    call = self._with_body(call, read_body)
            return route.handler(call)
        principal = self._auth.authenticate(call.headers)
        if isinstance(principal, Refusal):
            return self._problems.refusal(principal, call.request_id)
        call = Call(call.path, call.query, call.headers, b"", call.peer, call.request_id, principal)
        if route.precheck is not None and "idempotency-key" in call.headers:
            return self._checked(route.precheck, call, principal, route.scope, read_body)
        refusal = allow(principal, route.scope)
        if refusal is not None:
            return self._problems.refusal(refusal, call.request_id)
        return route.handler(self._with_body(call, read_body))

    def _checked(self, precheck: Precheck, call: Call, principal: Principal, scope: str, read_body: ReadBody) -> Reply:
        # A body over the limit was never answered before, so it has no earlier answer, and 403 comes before 413.
        too_large: PayloadTooLarge | None = None
        try:
            call = self._with_body(call, read_body)
        except PayloadTooLarge as error:
            too_large = error
        known = precheck(call) if too_large is None else None
        if known is not None:
            return known
        refusal = allow(principal, scope)
        if refusal is not None:
            return self._problems.refusal(refusal, call.request_id)
        if too_large is not None:
            raise too_large
        return self.route.handler(call)

    def _with_body(self, call: Call, read_body: ReadBody) -> Call:
        if self.route.method == "GET":
            return call
        length = call.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise InvalidRequest("The Content-Length is not a number.")
        if len(length) > 9 or int(length) > MAX_BODY:
            raise PayloadTooLarge(f"The body may have {MAX_BODY} bytes.")
        body = read_body(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise PayloadTooLarge(f"The body may have {MAX_BODY} bytes.")
        return Call(call.path, call.query, call.headers, body, call.peer, call.request_id, call.principal)

    def _extra(self, call: Call) -> dict[str, object]:
        return {"request_id": call.request_id, "method": self.route.method, "route": self.route.template}

    def _finish(self, call: Call, answer: Reply, began: float) -> Reply:
        elapsed = time.perf_counter() - began
        route = self.route
        telemetry.REQUESTS.labels(route.method, route.template, str(answer.status)).inc()
        telemetry.LATENCY.labels(route.template).observe(elapsed)
        extra = self._extra(call) | {"status": answer.status, "duration_ms": round(elapsed * 1000, 2)}
        if answer.code is not None:
            extra["code"] = answer.code
        _log.info("request", extra=extra)
        return Reply(answer.status, {**answer.headers, **ALWAYS, "X-Request-Id": call.request_id}, answer.body)
