"""The thin Flask edge: Flask finds the route, everything else is plain functions."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter

from .auth import Auth
from .cors import preflight_of
from .endpoint import ALWAYS, Endpoint
from .http import Reply, Route
from .limits import Threads
from .problems import Problems


def create_app(
    routes: Sequence[Route], auth: Auth, problems: Problems, new_request_id: Callable[[], str], threads: Threads
) -> Flask:
    """A Flask app that serves the routes and answers everything else with a problem document."""
    app = Flask("otp_service", static_folder=None, template_folder=None)
    # One spelling of a path is one resource: no redirects from other spellings.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.converters["name"] = _name_converter(routes)
    for route in [*routes, *(preflight_of(route) for route in routes if route.cross_origin)]:
        endpoint = Endpoint(route, auth, problems, new_request_id, threads)
        app.add_url_rule(
            route.template.replace("{", "<name:").replace("}", ">"),
            endpoint=f"{route.method} {route.template}",
            view_func=_view(endpoint),
            methods=[route.method],
            provide_automatic_options=False,
        )
    app.register_error_handler(HTTPException, _fallback(problems, new_request_id))
    return app


def _name_converter(routes: Sequence[Route]) -> type[BaseConverter]:
    """What may stand for a parameter: one segment that is no word of ours.

    Otherwise GET /verify/start would be taken for the verification named `start` and not for a wrong method.
    """
    words = {word for route in routes for word in route.template.split("/") if word and "{" not in word}
    pattern = rf"(?!(?:{'|'.join(map(re.escape, sorted(words)))})(?:/|\Z))[^/]+"
    return type("NameConverter", (BaseConverter,), {"regex": pattern, "part_isolating": True})


def _view(endpoint: Endpoint) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        environ = request.environ
        body = _Body(environ)
        answer = endpoint(
            path,
            request.args.to_dict(flat=False),
            _headers(environ.items()),
            body.read,
            peer_of(environ),
        )
        return _response(answer, body)

    return view


def _headers(environ: Iterable[tuple[str, Any]]) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        value = request.environ.get(name)
        if value:
            headers[name.replace("_", "-").lower()] = value
    return headers


class _Body:
    """A request's body, read when somebody asks for it."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._stream = environ["wsgi.input"]
        self._length = environ.get("CONTENT_LENGTH") or ""
        self.unread = self._length != "0" if self._length else "HTTP_TRANSFER_ENCODING" in environ
        """Whether some of it may still be on its way."""

    def read(self, most: int) -> bytes:
        """The first bytes, at most so many."""
        if not self.unread:
            return b""
        left = min(most, int(self._length)) if self._length else most
        parts = []
        while left > 0:
            part = self._stream.read(left)
            if not part:
                self.unread = False
                break
            parts.append(part)
            left -= len(part)
        data = b"".join(parts)
        if self._length and len(data) == int(self._length):
            self.unread = False
        return data


def peer_of(environ: dict[str, Any]) -> str:
    """The address of the connection itself, without a port."""
    address = str(environ.get("REMOTE_ADDR") or "")
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def _fallback(problems: Problems, new_request_id: Callable[[], str]) -> Callable[[HTTPException], Response]:
    def handler(error: HTTPException) -> Response:
        request_id = new_request_id()
        if isinstance(error, MethodNotAllowed):
            allow = ", ".join(sorted(error.valid_methods or ()))
            detail = f"This resource takes: {allow}."
            answer = problems.of("method_not_allowed", detail, request_id, headers={"Allow": allow})
        elif isinstance(error, NotFound):
            answer = problems.of("not_found", "There is nothing here. /docs lists what there is.", request_id)
        elif error.code is not None and error.code < 500:
            answer = problems.of("invalid_request", "The request cannot be read.", request_id)
        else:
            answer = problems.hidden("internal_error", request_id)
        named = {**answer.headers, **ALWAYS, "X-Request-Id": request_id}
        return _response(Reply(answer.status, named, answer.body), _Body(request.environ))

    return handler


def _response(answer: Reply, body: _Body) -> Response:
    response = Response(answer.body, status=answer.status)
    response.headers.remove("Content-Type")
    for name, value in answer.headers.items():
        response.headers[name] = value
    if body.unread:
        # The server drops such a connection. Unless we say so, the client's next request fails on it.
        response.headers["Connection"] = "close"
    return response
