"""Reading query parameters into their struct: the one place where they are decoded."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from .bodies import fault_and_path
from .schemas.queries import bad_query

T = TypeVar("T", bound=msgspec.Struct)
_MAX_DIGITS = 15


def decode_query(query: Mapping[str, Sequence[str]], kind: type[T]) -> T:
    """The parameters as this struct. Raises InvalidRequest, with the parameter's name in the pointer.

    A struct that forbids unknown fields refuses unknown parameters; any other one ignores them.
    """
    kinds, found = _kinds(kind), {}
    for name, values in query.items():
        if name in kinds:
            found[name] = _value(kind, name, kinds[name], values)
        elif kind.__struct_config__.forbid_unknown_fields:
            raise bad_query(name, "unknown parameter")
    return _convert(found, kind)


def _value(kind: type[msgspec.Struct], name: str, wanted: type, values: Sequence[str]) -> object:
    if wanted is list:
        return list(values)
    if len(values) > 1:
        raise bad_query(name, "given twice")
    return _whole_number(kind, name, values[0]) if wanted is int else values[0]


def _whole_number(kind: type[msgspec.Struct], name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _max_digits(kind, name)):
        raise bad_query(name, _must_be(kind, name))
    return int(text)


def _convert(found: Mapping[str, object], kind: type[T]) -> T:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        # Only what stands in MUST_BE has a type that a text can break.
        name = re.split(r"[.\[]", fault_and_path(error)[1])[1]
        raise bad_query(name, _must_be(kind, name)) from error


def _max_digits(kind: Any, name: str) -> int:
    return int(kind.MAX_DIGITS.get(name, _MAX_DIGITS))


def _must_be(kind: Any, name: str) -> str:
    return str(kind.MUST_BE[name])


@cache
def _kinds(kind: type[msgspec.Struct]) -> dict[str, type]:
    """The parameters of a struct: `int`, `list` for those that may be repeated, else `str`."""
    schema = msgspec.json.schema(kind, ref_template="{name}")
    properties = schema["$defs"][kind.__name__]["properties"] if "$defs" in schema else schema["properties"]
    python = {"integer": int, "array": list}
    return {name: python.get(form.get("type"), str) for name, form in properties.items()}
