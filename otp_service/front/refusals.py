"""Responses to what reaches no endpoint: what is no HTTP, is too large, does not arrive in time, or finds no place."""

from collections.abc import Callable

from .. import telemetry
from ..domain.errors import Refusal
from ..web.endpoint import ALWAYS
from ..web.http import Reply
from ..web.problems import NOT_HANDLED, Problems

NO_HTTP = Refusal("invalid_request", "This is not a valid HTTP/1.1 request. Check its first line, headers and length.")
HOST = Refusal("invalid_request", "A request has exactly one Host header (RFC 9112, 3.2).")
LATE = Refusal("request_timeout", "The request did not arrive in time. Send all of it at once.")
LONG_TARGET = Refusal("uri_too_long", "The path with its query is too long. Leave out or shorten parameters.")
LARGE_HEAD = Refusal("headers_too_large", "The headers are too many, or too large. Leave out or shorten some.")
BUSY = Refusal("not_ready", "Too many requests of this kind wait. Try again shortly.")
FAULT = Refusal("internal_error", NOT_HANDLED)


class Refusals:
    """Makes the problem document of each. `new_request_id` makes the id that the caller and the log know."""

    def __init__(self, problems: Problems, new_request_id: Callable[[], str]) -> None:
        self._problems = problems
        self._new_request_id = new_request_id

    def __call__(self, refusal: Refusal) -> Reply:
        """The response, which is counted but not logged: anybody could fill the log with them."""
        request_id = self._new_request_id()
        reply = self._problems.refusal(refusal, request_id)
        telemetry.count(telemetry.REQUESTS, "-", "refused", str(reply.status))
        return Reply(reply.status, {**reply.headers, **ALWAYS, "X-Request-Id": request_id}, reply.body)
