"""The OpenAPI 3.1 document, made from the same routes and types that serve and validate."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from .. import __version__
from ..domain.audit import EventType
from ..domain.callback import EVENTS
from .auth import opening
from .http import Doc, Route
from .problems import MEDIA, STATUS
from .schemas.callbacks import CallbackBody
from .schemas.forms import E164_FORM, IDEMPOTENCY_KEY
from .schemas.problem import Problem
from .schemas.receipts import ReceiptClaims

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_PARAMETERS = {
    "verification_id": "The id that POST /verify/start gave.",
    "delivery_id": "The id of a delivery, as the webhook URL of a message names it.",
    "number": "A telephone number in E.164; write the plus sign as %2B.",
}
_FORMS: dict[str, dict[str, Any]] = {
    "number": {"type": "string", **E164_FORM},
    "Idempotency-Key": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY}$"},
}
"""The form of path and header parameters that are more than a text."""

_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "watch_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The `watch_token` of POST /verify/start. It opens this one verification for reading, without "
        "the app's metadata and details; a browser may hold it, and pages of any origin may send it.",
    },
}
_REF = "#/components/schemas/{name}"


def describe(routes: Sequence[Route], server: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "otp-service",
            "version": __version__,
            "description": "One-time codes over SMS, followed until they are delivered. Times are RFC 3339 UTC, "
            "durations whole seconds, numbers E.164 in requests and masked in answers.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "webhooks": {str(kind): _callback(kind) for kind in sorted(EVENTS)},
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": _SCHEMES,
        },
    }


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    """The schemas that bodies and query parameters refer to. A query struct itself is no schema of the API."""
    bodies = [kind for route in routes for kind in (route.doc.request, route.doc.reply) if _is_struct(kind)]
    queries = {route.doc.query for route in routes if route.doc.query is not None}
    kinds = list(dict.fromkeys([*bodies, Problem, CallbackBody, ReceiptClaims, *queries]))
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    return {name: schema for name, schema in schemas.items() if name not in {kind.__name__ for kind in queries}}


_CALLBACK_HEADERS = {
    "webhook-id": "The event's id: the same at every attempt. Receivers remember it to know a repeat.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "Standard Webhooks 1.0.0: one signature for each of the app's secrets, separated by blanks. "
    "`v1,` and the base64 of an HMAC-SHA256, or `v1a,` and that of an Ed25519 signature, over `id.timestamp.body`.",
}


def _callback(kind: EventType) -> dict[str, Any]:
    operation = {
        "operationId": "receive" + "".join(word.capitalize() for word in re.findall("[a-z]+", kind)),
        "summary": f"Sent to the app's callback_url after {kind}",
        "description": "Sent at least once and perhaps out of order; the greater `version` is the newer object. "
        "Anything but 2xx is tried again with the same id and body; a redirect is not followed, 410 ends it.",
        "tags": ["callbacks"],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": words, "schema": {"type": "string"}}
            for name, words in _CALLBACK_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _schema(CallbackBody)}}},
        "responses": {"2XX": {"description": "Taken."}},
    }
    return {"post": operation}


def _is_struct(kind: type[Any] | None) -> bool:
    return kind is not None and issubclass(kind, msgspec.Struct)


def _operation(route: Route) -> dict[str, Any]:
    doc = route.doc
    operation: dict[str, Any] = {
        "operationId": doc.operation_id,
        "summary": doc.summary,
        "tags": [doc.tag],
        "parameters": _parameters(route),
        "responses": _responses(doc),
    }
    if route.scope is not None:
        operation["security"] = [{"key": []}] if route.token_access is None else [{"key": []}, {"watch_token": []}]
        operation["x-scope"] = " or ".join(opening(route.scope))
    if doc.request is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _schema(doc.request)}}}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    path = [
        _parameter(name, "path", _PARAMETERS[name], _form(name), required=True)
        for name in _PARAMETER.findall(route.template)
    ]
    headers = [_parameter(name, "header", words, _form(name)) for name, words in route.doc.headers]
    return [*path, *_query_parameters(route.doc.query), *headers]


def _query_parameters(kind: type[msgspec.Struct] | None) -> list[dict[str, Any]]:
    if kind is None:
        return []
    _, schemas = msgspec.json.schema_components([kind], ref_template=_REF)
    properties: dict[str, dict[str, Any]] = schemas[kind.__name__]["properties"]
    return [
        _parameter(name, "query", form["description"], {word: form[word] for word in form if word != "description"})
        for name, form in properties.items()
    ]


def _parameter(
    name: str, location: str, words: str, schema: dict[str, Any], *, required: bool = False
) -> dict[str, Any]:
    return {"name": name, "in": location, "required": required, "description": words, "schema": schema}


def _form(name: str) -> dict[str, Any]:
    return _FORMS.get(name, {"type": "string"})


def _schema(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=kind.__name__)} if _is_struct(kind) else {"type": "object"}


def _responses(doc: Doc) -> dict[str, Any]:
    good: dict[str, Any] = {"description": doc.summary}
    if doc.reply is not None:
        good["content"] = {"application/json": {"schema": _schema(doc.reply)}}
    elif doc.media != "application/json":
        good["content"] = {doc.media: {"schema": {"type": "string"}}}
    responses: dict[str, Any] = {str(status): good for status in (doc.status, *doc.also)}
    by_status: dict[int, list[str]] = {}
    for code in (*doc.codes, "internal_error"):
        by_status.setdefault(STATUS[code][0], []).append(code)
        if code == "idempotency_conflict":
            by_status.setdefault(422, []).append(code)
    for status, codes in sorted(by_status.items()):
        response: dict[str, Any] = {
            "description": " · ".join(f"`{code}`" for code in codes),
            "content": {MEDIA: {"schema": _schema(Problem)}},
        }
        if status in (429, 503):
            response["headers"] = {
                "Retry-After": {"description": "Seconds until the request can pass.", "schema": {"type": "integer"}}
            }
        responses[str(status)] = response
    return responses
