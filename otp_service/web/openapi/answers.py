"""What an operation answers: statuses, bodies and headers."""

from typing import Any

from ..http import FACTOR_RECEIPT, UNREAD_SHARDS, Doc, Route
from ..problems import MEDIA, STATUS
from ..schemas.problem import Problem
from .links import LINKS
from .problem_examples import name_of
from .schemas import reference

EDGE_CODES = ("request_timeout", "uri_too_long", "headers_too_large")
"""What the server itself refuses, on any path, before it knows the route."""

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Names this request in logs and in the audit record.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds until the request can pass.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "The scheme to use (RFC 9110, 15.5.2).",
        "schema": {"type": "string", "enum": ["Bearer"]},
    },
    "RateLimit-Policy": {
        "description": "The limits that a start can meet: name, quota (`q`) and window in seconds (`w`).",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "The limit that refuses: none remain (`r`), and seconds until one more passes (`t`).",
        "schema": {"type": "string"},
    },
    FACTOR_RECEIPT: {
        "description": "A compact JWS (EdDSA) of `FactorChangeClaims`: the factor was removed.",
        "schema": {"type": "string"},
    },
    UNREAD_SHARDS: {
        "description": "Shards of the store that did not respond, as `seq` begins. Their latest events come on a later "
        "page.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` if this is what the first request with the Idempotency-Key got.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
"""The response headers that a caller may need."""


def codes_of(route: Route) -> tuple[str, ...]:
    """The problem codes that a route can answer with."""
    return (*route.doc.codes, "internal_error", *EDGE_CODES)


def responses(route: Route) -> dict[str, Any]:
    """The answers of a route, by status."""
    doc = route.doc
    good = {str(status): _good(doc) for status in (doc.status, *doc.also)}
    good[str(doc.status)] |= _links(doc)
    by_status: dict[int, list[str]] = {}
    for code in (*route.doc.codes, "internal_error"):
        by_status.setdefault(STATUS[code][0], []).append(code)
        if code == "idempotency_conflict":
            by_status.setdefault(422, []).append(code)
    edge = {str(STATUS[code][0]): {"$ref": f"#/components/responses/{code}"} for code in EDGE_CODES}
    refused = {str(status): problem(status, codes) for status, codes in sorted(by_status.items())}
    if doc.rate_limited:
        refused["429"]["headers"] |= _headers(["RateLimit-Policy", "RateLimit"])
    return good | edge | refused


def edge_answers() -> dict[str, Any]:
    """The answers that all operations have in common."""
    return {code: problem(STATUS[code][0], [code]) for code in EDGE_CODES}


def problem(status: int, codes: list[str]) -> dict[str, Any]:
    """A refusal with one of these codes."""
    named = ["X-Request-Id"]
    if status in (429, 503):
        named.append("Retry-After")
    if status == 401:
        named.append("WWW-Authenticate")
    return {
        "description": " · ".join(f"`{code}`" for code in codes),
        "headers": _headers(named),
        "content": {MEDIA: {"schema": reference(Problem), "examples": _examples(status, codes)}},
    }


def _examples(status: int, codes: list[str]) -> dict[str, Any]:
    return {code: {"$ref": f"#/components/examples/{name_of(code, status)}"} for code in codes}


def _links(doc: Doc) -> dict[str, Any]:
    links = {name: link for name, link in LINKS.items() if doc.operation_id in link.given_by}
    return {"links": {name: link.described() for name, link in links.items()}} if links else {}


def _good(doc: Doc) -> dict[str, Any]:
    named = ["X-Request-Id"]
    if any(name == "Idempotency-Key" for name, _ in doc.headers):
        named.append("Idempotent-Replayed")
    if doc.rate_limited:
        named.append("RateLimit-Policy")
    if doc.factor_receipt:
        named.append(FACTOR_RECEIPT)
    if doc.may_be_partial:
        named.append(UNREAD_SHARDS)
    if doc.may_retry:
        named.append("Retry-After")
    found: dict[str, Any] = {"description": doc.summary, "headers": _headers(named)}
    if doc.reply is not None:
        return found | {"content": {"application/json": {"schema": _schema(doc)}}}
    if doc.media and doc.media != "application/json":
        return found | {"content": {doc.media: {"schema": {"type": "string"}}}}
    return found


def _schema(doc: Doc) -> dict[str, Any]:
    kinds = [kind for kind in (doc.reply, doc.or_reply) if kind is not None]
    return reference(kinds[0]) if len(kinds) == 1 else {"anyOf": [reference(kind) for kind in kinds]}


def _headers(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
