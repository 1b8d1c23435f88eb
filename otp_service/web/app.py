"""Assembles the Flask app: Flask finds the route, plain functions do everything else."""

import re
from collections.abc import Callable, Sequence

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter

from .auth import Auth
from .cors import preflight_of
from .endpoint import ALWAYS, Endpoint
from .http import METHOD_UNKNOWN, METHODS, Reply, Route
from .problems import Problems
from .wsgi import PATH_AS_SENT, Body, headers_of, peer_of, response_of


def create_app(routes: Sequence[Route], auth: Auth, problems: Problems, new_request_id: Callable[[], str]) -> Flask:
    """A Flask app that serves the routes and answers everything else with a problem document."""
    app = Flask("otp_service", static_folder=None, template_folder=None)
    # One spelling of a path is one resource: no redirects from other spellings.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.converters["name"] = _name_converter(routes)
    app.url_map.converters["tile"] = _Tile
    for route in [*routes, *(preflight_of(route) for route in routes if route.cross_origin)]:
        endpoint = Endpoint(route, auth, problems, new_request_id)
        app.add_url_rule(
            route.template.replace("{tile}", "<tile:tile>").replace("{", "<name:").replace("}", ">"),
            endpoint=f"{route.method} {route.template}",
            view_func=_view(endpoint),
            methods=[route.method],
            provide_automatic_options=False,
        )
    app.before_request(_known_method)
    app.before_request(_one_spelling)
    app.register_error_handler(HTTPException, _fallback(problems, new_request_id))
    return app


def _known_method() -> None:
    # Werkzeug takes any word for a method that the path does not take.
    if request.environ["REQUEST_METHOD"] not in METHODS:
        abort(501)


def _one_spelling() -> None:
    # Werkzeug drops all slashes but one at the beginning before it looks for a route, and it sees no escapes.
    sent, rule = request.environ.get(PATH_AS_SENT, ""), request.url_rule
    if request.environ["PATH_INFO"].startswith("//") or (rule is not None and not _is_literal(sent, rule.rule)):
        abort(404)


def _is_literal(sent: str, rule: str) -> bool:
    """Whether only parameters have escapes, as `%2B` in a number. `/%68ealthz` and `/verify%2Fstart` are no paths."""
    if "%" not in sent:
        return True
    segments, parts = sent.split("/"), rule.split("/")
    return len(segments) == len(parts) and all(
        part.startswith("<") or part == segment for part, segment in zip(parts, segments, strict=True)
    )


def _name_converter(routes: Sequence[Route]) -> type[BaseConverter]:
    """What may stand for a parameter: one segment that is no fixed segment of a route.

    Otherwise GET /verify/start would be taken for the verification named `start` and not for a wrong method.
    """
    words = {word for route in routes for word in route.template.split("/") if word and "{" not in word}
    pattern = rf"(?!(?:{'|'.join(map(re.escape, sorted(words)))})(?:/|\Z))[^/]+"
    return type("NameConverter", (BaseConverter,), {"regex": pattern, "part_isolating": True})


class _Tile(BaseConverter):
    """The path of a tile, which has several segments; whether there is such a tile is the handler's matter."""

    regex = r"[0-9x][0-9x/.p]{0,63}"
    part_isolating = False


def _view(endpoint: Endpoint) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        environ = request.environ
        body = Body(environ)
        answer = endpoint(
            path,
            request.args.to_dict(flat=False),
            headers_of(environ),
            body.read,
            peer_of(environ),
        )
        return response_of(answer, body)

    return view


def _fallback(problems: Problems, new_request_id: Callable[[], str]) -> Callable[[HTTPException], Response]:
    def handler(error: HTTPException) -> Response:
        request_id = new_request_id()
        if isinstance(error, MethodNotAllowed):
            allow = ", ".join(sorted(error.valid_methods or ()))
            detail = f"This resource takes: {allow}."
            answer = problems.of("method_not_allowed", detail, request_id, headers={"Allow": allow})
        elif error.code == 501:
            answer = problems.refusal(METHOD_UNKNOWN, request_id)
        elif isinstance(error, NotFound):
            answer = problems.of("not_found", "There is nothing here. /docs lists what there is.", request_id)
        elif error.code is not None and error.code < 500:
            answer = problems.of("invalid_request", "The request cannot be read.", request_id)
        else:
            answer = problems.hidden("internal_error", request_id)
        named = {**answer.headers, **ALWAYS, "X-Request-Id": request_id}
        return response_of(Reply(answer.status, named, answer.body), Body(request.environ))

    return handler
