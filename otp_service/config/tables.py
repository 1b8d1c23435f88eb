"""Reading tables of the file key by key, so that each wrong value is a fault of its own."""

from collections.abc import Mapping
from enum import Enum
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from ..domain.names import NAME_FORM, is_name
from .duration import dec_hook
from .faults import Faults
from .sections import Section

S = TypeVar("S", bound=Section)

_PLAIN = (
    ("Expected ", "must be "),
    ("`int`", "a whole number"),
    ("`float`", "a number"),
    ("`str`", "text in quotes"),
    ("`array`", "a list"),
    ("`object`", "a table"),
    ("`bool`", "true or false"),
    (", got ", ", not "),
    ("of length >= ", "of length at least "),
    ("of length <= ", "of length at most "),
    (" >= ", " of at least "),
    (" <= ", " of at most "),
    (" > 0.0", " above 0"),
)


def named_tables(document: Mapping[str, Any], key: str, faults: Faults) -> Mapping[str, Any]:
    """The tables `[key.NAME]` by name."""
    tables = document.get(key, {})
    if not isinstance(tables, dict):
        faults.add(key, f"must be a table; write [{key}.NAME]")
        return {}
    for name in tables:
        if not is_name(name):
            faults.add(f"{key}.{name}", f"a name has {NAME_FORM}")
    return tables


def read_section(raw: Any, kind: type[S], key: str, faults: Faults) -> S:
    """The values of one table. A value with a fault is None."""
    if not isinstance(raw, dict):
        faults.add(key, f"must be a table; write [{key}]")
        return kind()
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in sorted(set(raw) - set(fields)):
        faults.add(f"{key}.{name}", f"unknown key; the keys are {', '.join(fields)}")
    for name in sorted(set(kind.required) - set(raw)):
        faults.add(f"{key}.{name}", f"missing; write for example {name} = {kind.required[name]}")
    found = {
        field.name: _value(raw[name], field.type, f"{key}.{name}", kind, faults)
        for name, field in fields.items()
        if name in raw
    }
    return kind(**found)


def _value(raw: Any, optional: Any, key: str, kind: type[Section], faults: Faults) -> Any:
    (expected,) = (one for one in get_args(optional) if one is not NoneType)
    value = _converted(raw, expected, key, faults)
    if value is None:
        return None
    check = kind.checks.get(key.rpartition(".")[2])
    try:
        if check is not None:
            check(value)
    except ValueError as error:
        faults.add(key, str(error))
        return None
    return value


def _converted(raw: Any, expected: Any, key: str, faults: Faults) -> Any:
    """The value, or None with a fault. Each of a table whose keys are free is read by itself: a fault names its key."""
    if isinstance(raw, dict) and get_origin(expected) is dict:
        of_each = get_args(expected)[1]
        values = {name: _converted(one, of_each, f"{key}.{name}", faults) for name, one in raw.items()}
        return None if None in values.values() else values
    try:
        return msgspec.convert(raw, expected, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        faults.add(f"{key}{path.rstrip('`')}", _plain(problem, expected))
        return None


def _words_of(expected: Any) -> tuple[str, ...]:
    """The words of the first enumeration that stands in a type."""
    if isinstance(expected, type) and issubclass(expected, Enum):
        return tuple(expected)
    return next(filter(None, map(_words_of, get_args(expected))), ())


def _plain(problem: str, expected: Any) -> str:
    """The words of msgspec for people who write TOML."""
    words = _words_of(expected) if problem.startswith("Invalid enum value ") else ()
    if words:
        return f"{problem.removeprefix('Invalid enum value ')} is unknown; write one of {', '.join(words)}"
    for found, plain in _PLAIN:
        problem = problem.replace(found, plain)
    return problem
