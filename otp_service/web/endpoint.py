"""One request from beginning to end, without a framework: API key, body, handler, and the reply to every fault.

The order of refusals is here: 401, the reply stored under an Idempotency-Key, 403, 413, then the handler's own.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .. import telemetry
from ..domain.errors import InvalidRequest, Refusal, ServiceError, StoreUnavailable
from ..domain.ids import is_verification_id
from ..storage.callers import clear_caller
from ..storage.known_api_keys import Principal
from . import cors
from .auth import Auth
from .bodies import PayloadTooLarge
from .http import MAX_BODY, Call, Precheck, Reply, Route
from .problems import Problems

ALWAYS = {"X-Content-Type-Options": "nosniff"}
_BODILESS = ("GET", "OPTIONS")
_log = logging.getLogger("otp.web")

ReadBody = Callable[[int], bytes]
"""Reads at most that many bytes of the request's body."""


class Endpoint:
    """Serves one route. Never raises.

    `admission` is entered around each request that may wait, and raises NotReady for one too many.
    """

    def __init__(
        self,
        route: Route,
        auth: Auth,
        problems: Problems,
        new_request_id: Callable[[], str],
        admission: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.route = route
        self._admission = admission or nullcontext()
        self._headers = {**ALWAYS, **cors.ALLOWED} if route.cross_origin else ALWAYS
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
        except Exception:  # noqa: BLE001 - the last catch: whatever it is, the caller gets a clear 500
            _log.error("unexpected", exc_info=True, extra=self._extra(call))
            answer = self._problems.hidden("internal_error", call.request_id)
        finally:
            clear_caller()
        return self._finish(call, answer, began)

    def _answer(self, call: Call, read_body: ReadBody) -> Reply:
        if not self.route.waits:
            self._read_body(call, read_body)
            return self.route.handler(call)
        with self._admission:
            return self._admitted(call, read_body)

    def _admitted(self, call: Call, read_body: ReadBody) -> Reply:
        route = self.route
        if route.scope is None or (route.token_access is not None and route.token_access.admits(call)):
            return self._open(call, read_body)
        principal = self._auth.authenticate(call)
        if isinstance(principal, Refusal):
            return self._problems.refusal(principal, call.request_id)
        call.principal = principal
        if route.precheck is not None and "idempotency-key" in call.headers:
            return self._checked(route.precheck, call, principal, route.scope, read_body)
        refusal = self._auth.allow(principal, route.scope)
        if refusal is not None:
            return self._problems.refusal(refusal, call.request_id)
        self._read_body(call, read_body)
        return route.handler(call)

    def _open(self, call: Call, read_body: ReadBody) -> Reply:
        """Without a key, to everybody or to who holds a token."""
        self._auth.name_caller(call.peer, call.request_id)
        self._read_body(call, read_body)
        if self.route.scope is not None and self.route.token_access is not None:
            return self.route.token_access.handler(call)
        return self.route.handler(call)

    def _checked(self, precheck: Precheck, call: Call, principal: Principal, scope: str, read_body: ReadBody) -> Reply:
        # A body over the limit has no stored reply, and 403 comes before 413.
        too_large: PayloadTooLarge | None = None
        try:
            self._read_body(call, read_body)
        except PayloadTooLarge as error:
            too_large = error
        known = precheck(call) if too_large is None else None
        if known is not None:
            return known
        refusal = self._auth.allow(principal, scope)
        if refusal is not None:
            return self._problems.refusal(refusal, call.request_id)
        if too_large is not None:
            raise too_large
        return self.route.handler(call)

    def _read_body(self, call: Call, read_body: ReadBody) -> None:
        if self.route.method not in _BODILESS:
            call.body = self._body(call, read_body)
        elif "content-length" in call.headers or "transfer-encoding" in call.headers:
            # A body of a GET means nothing, but it has the limit of every other.
            self._body(call, read_body)

    def _body(self, call: Call, read_body: ReadBody) -> bytes:
        length = call.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise InvalidRequest("The Content-Length is not a number.")
        if len(length) > 9 or int(length) > MAX_BODY:
            raise PayloadTooLarge(f"The body may have at most {MAX_BODY} bytes.")
        body = read_body(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise PayloadTooLarge(f"The body may have at most {MAX_BODY} bytes.")
        return body

    def _extra(self, call: Call) -> dict[str, object]:
        extra: dict[str, object] = {
            "request_id": call.request_id,
            "method": self.route.method,
            "route": self.route.template,
        }
        if call.principal is not None:
            extra["app"], extra["key_id"] = call.principal.app, call.principal.key_id
        return extra

    def _finish(self, call: Call, answer: Reply, began: float) -> Reply:
        elapsed = time.perf_counter() - began
        route = self.route
        telemetry.count(telemetry.REQUESTS, route.method, route.template, str(answer.status))
        telemetry.observe(telemetry.LATENCY, elapsed - answer.waited_s, route.template)
        extra = self._extra(call)
        extra["status"], extra["duration_ms"] = answer.status, round(elapsed * 1000, 2)
        if answer.waited_s:
            extra["wait_ms"] = round(answer.waited_s * 1000)
        if answer.code is not None:
            extra["code"] = answer.code
        if answer.verification_id is not None:
            extra["verification_id"] = answer.verification_id
        elif is_verification_id(call.path.get("verification_id", "")):
            extra["verification_id"] = call.path["verification_id"]
        telemetry.log_request(_log, extra)
        return Reply(answer.status, {**answer.headers, **self._headers, "X-Request-Id": call.request_id}, answer.body)
