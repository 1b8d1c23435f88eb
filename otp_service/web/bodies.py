"""Reading JSON bodies strictly: a body has one meaning, or it is refused.

Two parsers of one body must never read two different requests. So duplicate members, NaN, other encodings than UTF-8
and unknown members are refused, with a JSON pointer where one is possible.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NoReturn, TypeVar, get_args

import msgspec

from ..domain.errors import InvalidRequest, ServiceError
from .http import JSON

T = TypeVar("T")
_AT = re.compile(r" - at `([^`]*)`$")
"""Where a fault is, at the end of a message of msgspec. Before it may stand what the caller sent."""
_MEMBER = re.compile(r"(?:unknown field|missing required field) `([^`]*)`")
_JSON_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_TYPE = re.compile(rf"`({'|'.join(_JSON_TYPES)})`")
_FORM = "The body does not have the form this endpoint takes: see `errors`, and /docs for the form."
_MEDIA = re.compile(r"application/json(?: *; *charset=\"?utf-8\"?)?", re.IGNORECASE)


class UnsupportedMediaType(ServiceError):
    """The body is not declared as JSON in UTF-8."""

    code = "unsupported_media_type"


class PayloadTooLarge(ServiceError):
    """The body is over the limit."""

    code = "payload_too_large"


def require_json(headers: Mapping[str, str]) -> None:
    """Raise UnsupportedMediaType unless the Content-Type is JSON in UTF-8."""
    declared = headers.get("content-type", "")
    if declared != JSON and not _MEDIA.fullmatch(declared.strip()):
        raise UnsupportedMediaType("Send JSON with Content-Type: application/json.")


def decode(headers: Mapping[str, str], body: bytes, kind: type[T]) -> T:
    """Read a body into its type. Raises UnsupportedMediaType and InvalidRequest, and nothing else."""
    require_json(headers)
    try:
        value = msgspec.json.decode(body)
        _refuse_duplicates(body, value)
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _invalid(error, kind) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("The body is not valid JSON in UTF-8.", [("", "not valid JSON in UTF-8")]) from error


def canonical(body: bytes) -> bytes:
    """The same bytes for bodies that mean the same: the order of members and white space make no other request.

    A body that is not strictly JSON stays as it is. Raises nothing.
    """
    try:
        value = msgspec.json.decode(body)
        _refuse_duplicates(body, value)
        return json.dumps(value, sort_keys=True).encode()
    except (msgspec.DecodeError, InvalidRequest, ValueError, RecursionError):
        return body


def _refuse_duplicates(body: bytes, value: object) -> None:
    # Every member has one colon. As many colons as members means that no duplicate was dropped; as many as the whole
    # has itself, that there is nothing in its parts either.
    colons = body.count(b":")
    if (type(value) is not dict or len(value) != colons) and colons != _members(value):
        json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).decode(body.decode())


def _members(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + _members_within(value.values())
    return _members_within(value) if isinstance(value, list) else 0


def _members_within(items: Iterable[object]) -> int:
    count = 0
    for item in items:
        if type(item) is not str:
            count += _members(item)
    return count


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise InvalidRequest("A member stands in the body twice.", [("", "a member stands twice in one object")])
    return out


def _no_constant(_: str) -> NoReturn:
    raise InvalidRequest("The body is not valid JSON.", [("", "NaN and Infinity are not JSON")])


def fault_and_path(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, and msgspec's path to it: `$` for the whole, `$.a.b[0]` for a part."""
    text = str(error)
    where = _AT.search(text)
    return (text[: where.start()], where[1]) if where else (text, "$")


def _invalid(error: msgspec.ValidationError, kind: type[Any]) -> InvalidRequest:
    detail, path = fault_and_path(error)
    pointer = _pointer(path)
    member = _MEMBER.search(detail)
    if member:
        pointer += "/" + member[1].replace("~", "~0").replace("/", "~1")
    return InvalidRequest(_FORM, [(pointer, _worded(detail, pointer, kind))])


def _worded(detail: str, pointer: str, kind: type[Any]) -> str:
    """What is wrong in words of JSON, not of Python, and which values there are where only some are good."""
    if detail.startswith("Expected "):
        return _TYPE.sub(lambda match: f"`{_JSON_TYPES[match[1]]}`", detail)
    if detail.startswith("Invalid enum value ") and issubclass(kind, msgspec.Struct):
        types = [one.type for one in msgspec.structs.fields(kind) if f"/{one.encode_name}" == pointer]
        values = [value for one in types for value in _values(one)]
        return f"Expected one of {', '.join(values)}" if values else detail
    return detail


def _values(kind: Any) -> Iterable[str]:
    """The texts that a `Literal` allows, alone or in a union."""
    for one in get_args(kind):
        if isinstance(one, str):
            yield one
        else:
            yield from _values(one)


@cache
def _pointer(path: str) -> str:
    # msgspec writes $.a.b[0] and [...] for the key of a mapping; RFC 6901 writes /a/b/0.
    return "".join(f"/{part}" for part in re.findall(r"[^.$\[\]]+", path) if part != "...")
