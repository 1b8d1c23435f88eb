"""Canonical JSON (RFC 8785): equal values have equal bytes, so that a hash of them means something.

Members are sorted by the UTF-16 code units of their names, numbers are written as ECMAScript writes them, and texts
have no escapes that are not needed.
"""

from collections.abc import Mapping
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

EXACT = 2**53
"""Beyond this a number of JSON is not the same for all readers."""

_text = encode_basestring


def canonical(value: Any) -> bytes:
    """The bytes of a value of JSON. Raises ValueError for what JSON cannot hold exactly, half a character among it."""
    return _written(value).encode()


def _written(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int():
            return _whole(value)
        case float():
            return _number(value)
        case Mapping():
            members = sorted(value.items(), key=lambda member: str(member[0]).encode("utf-16-be"))
            return "{" + ",".join(f"{_text(name)}:{_written(one)}" for name, one in members) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_written, value)) + "]"
    raise ValueError(f"{type(value).__name__} is no value of JSON")


def _whole(value: int) -> str:
    if abs(value) >= EXACT:
        raise ValueError("the number is too great to be exact")
    return str(value)


def _number(value: float) -> str:
    """As `Number::toString` of ECMAScript does, from the shortest digits that Python finds, too."""
    if not isfinite(value):
        raise ValueError("JSON has no such number")
    if value == int(value) and abs(value) < EXACT:
        return str(int(value))
    sign, shown = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = shown.partition("e")
    before, _, after = mantissa.partition(".")
    after = "" if after == "0" else after
    digits = (before + after).lstrip("0")
    # The number is 0.digits times ten to the power of `point`.
    point = len(before) + int(exponent or 0) if before != "0" else int(exponent or 0) - (len(after) - len(digits))
    return sign + _placed(digits.rstrip("0") or "0", point)


def _placed(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
