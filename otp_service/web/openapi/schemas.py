"""The document's schemas, in the dialect that all tools read."""

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec

from ..http import Route
from ..schemas.callbacks import CallbackBody, FactorCallbackBody
from ..schemas.problem import Problem
from ..schemas.receipts import FactorChangeClaims, ReceiptClaims
from .examples import of_types

_REF = "#/components/schemas/{name}"
_OPEN = {"additionalProperties": True}
_MORE = {"Autofill": {"minProperties": 1, "maxProperties": 1}}


def _receipt(claims: str) -> dict[str, Any]:
    return {
        "contentMediaType": "application/jwt",
        "contentSchema": {
            "type": "array",
            "prefixItems": [{"type": "object", **_OPEN}, {"$ref": _REF.format(name=claims)}],
            "items": {"type": "object", **_OPEN},
            "minItems": 2,
            "maxItems": 2,
        },
    }


_CLAIMS = {
    "Approval": "ReceiptClaims",
    "FactorApproval": "ReceiptClaims",
    "Factor": "FactorChangeClaims",
    "RecoveryCodes": "FactorChangeClaims",
}
_MEMBERS = {(name, "receipt"): _receipt(claims) for name, claims in _CLAIMS.items()}
"""What the types cannot say of themselves."""


def components(routes: Sequence[Route], server: str) -> dict[str, Any]:
    """The schemas that bodies and query parameters refer to. A query struct itself is no schema of the API."""
    bodies = [kind for route in routes for kind in _bodies(route) if is_struct(kind)]
    queries = {route.doc.query for route in routes if route.doc.query is not None}
    others = [Problem, CallbackBody, FactorCallbackBody, ReceiptClaims, FactorChangeClaims]
    kinds = list(dict.fromkeys([*bodies, *others, *queries]))
    _, found = msgspec.json.schema_components(kinds, ref_template=_REF)
    hidden = {kind.__name__ for kind in queries}
    shown = {name: _component(name, schema) for name, schema in found.items() if name not in hidden}
    for name, example in of_types(server).items():
        shown[name]["examples"] = [example]
    return shown


def _bodies(route: Route) -> tuple[type[Any] | None, ...]:
    return route.doc.request, route.doc.reply, route.doc.or_reply


def is_struct(kind: type[Any] | None) -> bool:
    """Whether the type has a schema of its own."""
    return kind is not None and issubclass(kind, msgspec.Struct)


def reference(kind: type[Any]) -> dict[str, Any]:
    """The schema of a body of this type."""
    return {"$ref": _REF.format(name=kind.__name__)} if is_struct(kind) else {"type": "object", **_OPEN}


def members(kind: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
    """The members of a struct of query parameters, with their defaults."""
    _, found = msgspec.json.schema_components([kind], ref_template=_REF)
    properties: dict[str, dict[str, Any]] = found[kind.__name__]["properties"]
    return {name: _plain(schema) for name, schema in properties.items()}


def _component(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(schema) | _MORE.get(name, {})
    for member, part in plain.get("properties", {}).items():
        plain["properties"][member] = _optional(part) | _MEMBERS.get((name, member), {})
    if not plain.get("required", True):
        del plain["required"]
    return plain


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    # Generators take a member with a default for one that is always there, in requests too.
    if "default" not in schema:
        return schema
    default = msgspec.json.encode(schema["default"]).decode()
    words = schema.get("description", "")
    rest = {name: part for name, part in schema.items() if name not in ("default", "description")}
    return {"description": f"{words} Default: `{default}`.".strip(), **rest}


def _plain(schema: Any) -> Any:
    """The same schema: each text without the indents of its source, each enumeration and free object spelt out."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: part if name in ("enum", "default", "examples") else _plain(part) for name, part in schema.items()}
    if isinstance(plain.get("description"), str):
        plain["description"] = inspect.cleandoc(plain["description"])
    if "enum" in plain:
        plain.setdefault("type", "integer" if all(isinstance(one, int) for one in plain["enum"]) else "string")
    if plain.get("type") == "object" and "properties" not in plain:
        plain = _OPEN | plain
    return _typed_options(plain) if "anyOf" in plain and "type" in plain else plain


def _typed_options(schema: dict[str, Any]) -> dict[str, Any]:
    kind = {"type": schema["type"]}
    rest = {name: part for name, part in schema.items() if name != "type"}
    return rest | {"anyOf": [kind | option for option in schema["anyOf"]]}
