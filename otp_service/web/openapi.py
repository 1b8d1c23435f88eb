"""The OpenAPI 3.1 document, made from the same routes and types that serve and validate."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .. import __version__
from ..domain.audit import EventType
from ..domain.callback import EVENTS
from ..domain.phone import E164
from .http import Doc, Route
from .problems import MEDIA, STATUS
from .schemas import CallbackBody

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_PARAMETERS = {
    "verification_id": "The id that POST /verify/start gave.",
    "delivery_id": "The id of a delivery, as the webhook URL of a message names it.",
    "number": "A telephone number in E.164; write the plus sign as %2B.",
}
_FORMS: dict[str, dict[str, Any]] = {
    "number": {"type": "string", "pattern": f"^{E164}$"},
    "to": {"type": "string", "pattern": f"^{E164}$"},
    "type": {"type": "array", "items": {"type": "string", "enum": [str(kind) for kind in EventType]}},
    "since": {"type": "string", "format": "date-time"},
    "until": {"type": "string", "format": "date-time"},
    "wait": {"type": "integer", "minimum": 0, "maximum": 25, "default": 0},
    "after": {"type": "integer", "minimum": 0},
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    "Idempotency-Key": {"type": "string", "pattern": "^[A-Za-z0-9_:.-]{1,255}$"},
}
"""The form of parameters that are more than a text."""

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


class FormError(msgspec.Struct):
    """Where a body is wrong: an RFC 6901 pointer and a sentence."""

    pointer: str
    detail: str


class Problem(msgspec.Struct):
    """RFC 9457 problem document. `code` is the stable word to branch on; `instance` is the request id."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FormError] | None = None
    checks_left: int | None = None
    sends_left: int | None = None
    resend_in: int | None = None
    resubscribe: str | None = None


class ReceiptClaims(msgspec.Struct):
    """What a receipt says: the payload of a compact JWS (RFC 7515) with `alg` EdDSA (RFC 8037), `typ` otp-receipt+jwt
    and `kid`, the id of the key in /.well-known/jwks.json that signed it.

    Verify signature, `iss`, `aud` and `exp`; compare `sub` with that of the start's reply, and `purpose`.
    """

    iss: Annotated[str, Meta(description="The issuer as configured: the public URL unless another is given.")]
    aud: Annotated[str, Meta(description="The app whose API key started and checked the verification.")]
    sub: Annotated[
        str, Meta(description="Who was verified: a keyed hash of the number, different for each app. As in the start.")
    ]
    iat: Annotated[int, Meta(description="When the code was approved, in Unix seconds.")]
    exp: Annotated[int, Meta(description="`iat` + 120: until then it can be spent.")]
    jti: Annotated[str, Meta(description="The receipt's own id.")]
    verification_id: Annotated[str, Meta(description="The verification that was approved.")]
    purpose: Annotated[str, Meta(description="What the start was for.")]
    channel: Annotated[str, Meta(description="The channel that the start, or its last repeat, asked for.")]
    amr: Annotated[
        list[str],
        Meta(description="RFC 8176: `otp` and, for the channel `sms`, `sms`. There is no word for WhatsApp."),
    ]
    context_hash: Annotated[
        str | None,
        Meta(
            description="Null without a context. Else the SHA-256, in hex, over its members in order of their names: "
            "for each its name and its value in UTF-8, each led by its length as four bytes, the highest first."
        ),
    ]


def describe(routes: Sequence[Route], server: str) -> dict[str, Any]:
    """The whole document."""
    types = [kind for route in routes for kind in (route.doc.request, route.doc.reply) if _is_struct(kind)]
    unique = list(dict.fromkeys([*types, Problem, CallbackBody, ReceiptClaims]))
    _, schemas = msgspec.json.schema_components(unique, ref_template=_REF)
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
            "schemas": schemas,
            "securitySchemes": _SCHEMES,
        },
    }


_CALLBACK_HEADERS = {
    "webhook-id": "The event's id: the same at every try. Receivers remember it to know a repeat.",
    "webhook-timestamp": "Unix seconds of this try.",
    "webhook-signature": "Standard Webhooks 1.0.0: one signature for each of the app's secrets, separated by blanks. "
    "`v1,` and the base64 of an HMAC-SHA256, or `v1a,` and that of an Ed25519 signature, over `id.timestamp.body`.",
}


def _callback(kind: EventType) -> dict[str, Any]:
    operation = {
        "operationId": f"told_{kind.replace('.', '_')}",
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
        "operationId": _operation_id(route),
        "summary": doc.summary,
        "tags": [doc.tag],
        "parameters": _parameters(route),
        "responses": _responses(doc),
    }
    if route.scope is not None:
        operation["security"] = [{"key": []}] if route.token_access is None else [{"key": []}, {"watch_token": []}]
        operation["x-scope"] = route.scope
    if doc.request is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _schema(doc.request)}}}
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"[a-z]+", route.template.replace(".well-known", "").replace(".json", ""))
    return "_".join([route.method.lower(), *words])


def _parameters(route: Route) -> list[dict[str, Any]]:
    out = [
        {"name": name, "in": "path", "required": True, "description": _PARAMETERS[name], "schema": _form(name)}
        for name in _PARAMETER.findall(route.template)
    ]
    for place, named in (("query", route.doc.query), ("header", route.doc.headers)):
        out += [
            {"name": name, "in": place, "required": False, "description": words, "schema": _form(name)}
            for name, words in named
        ]
    return out


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
