"""The OpenAPI 3.1 document, made from the same routes and types that serve and validate."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ... import __version__
from ...domain.audit import EventType
from ...domain.callback import EVENTS, FACTOR_EVENTS
from ..auth import opening
from ..http import Route
from ..schemas.callbacks import CallbackBody, FactorCallbackBody
from ..schemas.forms import E164_FORM, IDEMPOTENCY_KEY
from .answers import HEADERS, codes_of, edge_answers, responses
from .examples import PARAMETERS
from .problem_examples import problem_examples
from .schemas import components, members, reference

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_PARAMETERS = {
    "verification_id": "The id that POST /verify/start gave.",
    "factor_id": "The id that POST /factors/totp or /factors/recovery-codes gave.",
    "delivery_id": "The id of a delivery, as the webhook URL of a message names it.",
    "number": "A telephone number in E.164; write the plus sign as %2B.",
    "seq": "The `seq` of an event, or the number of its record in the log.",
    "level": "The level of a tile, from 0.",
    "tile": "The number of a tile in segments of three digits, all but the last with an `x` before them; `.p/` and its "
    "width behind it if it is not full: `x001/x234/067` or `000.p/8`. Its slashes are those of the path.",
}
_FORMS: dict[str, dict[str, Any]] = {
    "number": {"type": "string", **E164_FORM},
    "Idempotency-Key": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY}$"},
}
"""The form of path and header parameters that are more than a text."""

_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, in the header `Authorization: Bearer <key>`. It belongs to one app and has scopes; "
        "`x-scope` of an operation names the one that it needs.",
    },
    "watch_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The `watch_token` of POST /verify/start. It opens this one verification for reading, without "
        "the app's metadata and details; a browser may hold it, and pages of any origin may send it.",
    },
}
_TAGS = {
    "verifications": "Send a code, judge it, follow its delivery.",
    "receipts": "Proof of an approval that can be checked offline and spent once.",
    "factors": "Authenticator apps and recovery codes of a person.",
    "opt-outs": "Who does not want messages.",
    "support": "What stands against a person, and taking it away.",
    "audit": "The record of everything that happened.",
    "webhooks": "What the carrier reports. Each request carries the carrier's signature.",
    "callbacks": "What the service posts to an app.",
    "operation": "Health, metrics, documents.",
}


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
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server}],
        "externalDocs": {"description": "The same for people", "url": f"{server}/docs"},
        "tags": [{"name": name, "description": words} for name, words in _TAGS.items()],
        "paths": paths,
        "webhooks": {str(kind): _callback(kind) for kind in sorted(EVENTS)},
        "components": {
            "schemas": components(routes, server),
            "responses": edge_answers(),
            "examples": problem_examples(server, {code for route in routes for code in codes_of(route)}),
            "headers": HEADERS,
            "securitySchemes": _SCHEMES,
        },
    }


_CALLBACK_HEADERS = {
    "webhook-id": "The event's id: the same at every attempt. Receivers remember it to know a repeat.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "Standard Webhooks 1.0.0: one signature for each of the app's secrets, separated by blanks. "
    "`v1,` and the base64 of an HMAC-SHA256, or `v1a,` and that of an Ed25519 signature, over `id.timestamp.body`.",
}


def _body_of(kind: EventType) -> type[msgspec.Struct]:
    return FactorCallbackBody if kind in FACTOR_EVENTS else CallbackBody


def _callback(kind: EventType) -> dict[str, Any]:
    operation = {
        "operationId": "receive" + "".join(word.capitalize() for word in re.findall("[a-z]+", kind)),
        "summary": f"Sent to the app's callback_url after {kind}",
        "description": "Sent at least once and perhaps out of order; the greater `version` is the newer object. "
        "Anything but 2xx is tried again with the same id and body; a redirect is not followed, 410 ends it.",
        "tags": ["callbacks"],
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": words, "schema": {"type": "string"}}
            for name, words in _CALLBACK_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": reference(_body_of(kind))}}},
        "responses": {
            "2XX": {"description": "Taken."},
            "410": {"description": "Not wanted. It is not tried again."},
        },
    }
    return {"post": operation}


def _operation(route: Route) -> dict[str, Any]:
    doc = route.doc
    operation: dict[str, Any] = {
        "operationId": doc.operation_id,
        "summary": doc.summary,
        "description": doc.description,
        "tags": [doc.tag],
        "security": _security(route),
        "parameters": _parameters(route),
        "responses": responses(route),
    }
    if route.scope is not None:
        operation["x-scope"] = " or ".join(opening(route.scope))
    if doc.request is not None:
        body = {"schema": reference(doc.request)}
        operation["requestBody"] = {"required": True, "content": {"application/json": body}}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.scope is None:
        return []
    return [{"key": []}] if route.token_access is None else [{"key": []}, {"watch_token": []}]


def _parameters(route: Route) -> list[dict[str, Any]]:
    path = [
        _parameter(name, "path", _PARAMETERS[name], _form(name), required=True)
        for name in _PARAMETER.findall(route.template)
    ]
    headers = [
        _parameter(name, "header", words, _form(name), required=name != "Idempotency-Key")
        for name, words in route.doc.headers
    ]
    return [*path, *_query_parameters(route.doc.query), *headers]


def _query_parameters(kind: type[msgspec.Struct] | None) -> list[dict[str, Any]]:
    if kind is None:
        return []
    needed = getattr(kind, "REQUIRED", ())
    return [
        _parameter(name, "query", form["description"], _without_words(form, name in needed), required=name in needed)
        for name, form in members(kind).items()
    ]


def _without_words(form: dict[str, Any], needed: bool) -> dict[str, Any]:
    return {word: form[word] for word in form if word not in ("description", *(("default",) if needed else ()))}


def _parameter(
    name: str, location: str, words: str, schema: dict[str, Any], *, required: bool = False
) -> dict[str, Any]:
    found = {"name": name, "in": location, "required": required, "description": words, "schema": schema}
    return found | ({"example": PARAMETERS[name]} if name in PARAMETERS else {})


def _form(name: str) -> dict[str, Any]:
    return _FORMS.get(name, {"type": "string"})
