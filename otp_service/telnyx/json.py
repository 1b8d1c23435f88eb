"""Read JSON from outside without trusting its shape: small readers that answer None instead of raising.

`decode` guarantees one exception, `NotJson`, for bytes that hold no JSON. What is odd but readable (a key twice,
NaN, a number of a thousand digits) is read and reported as `strict=False`; the caller decides what that is worth.
The standard library's parser is used because it lets us see those oddities; msgspec passes duplicate keys silently.
"""

import json
import math
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LONGEST_INTEGER = 40  # digits; no field of the carrier comes near, and CPython's int() is quadratic in them
_LONGEST_TIME = 40
_SURROGATE = re.compile("[\ud800-\udfff]")
_IDENTIFIER = re.compile(r"[!-~]{1,200}", re.ASCII)


class NotJson(ValueError):
    """The bytes are not one JSON value in UTF-8, or are nested too deeply to be read."""


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded JSON value. `strict` is False if a key occurs twice or a number is not one of JSON's or absurd."""

    value: object
    strict: bool


def decode(body: bytes) -> Document:
    """Decode one JSON value. Raises NotJson and nothing else."""
    decoder = _own
    decoder.oddities = 0
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise NotJson("The body begins with a mark of its encoding.")
        value = decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise NotJson("The body is not JSON.") from error
    return Document(value, decoder.oddities == 0)


class _Decoder(threading.local):
    """Python's decoder, made once for each thread, and what it meets that is odd."""

    def __init__(self) -> None:
        self.oddities = 0
        self.decode = json.JSONDecoder(
            object_pairs_hook=self._pairs, parse_int=self._integer_of, parse_constant=self._constant
        ).decode

    def _pairs(self, items: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(items)
        if len(members) != len(items):
            self.oddities += 1
        return members

    def _integer_of(self, digits: str) -> int | None:
        if len(digits) > _LONGEST_INTEGER:
            self.oddities += 1
            return None
        return int(digits)

    def _constant(self, _: str) -> None:
        self.oddities += 1


_own = _Decoder()


def mapping(value: object) -> Mapping[str, Any]:
    """The object itself, or an empty one for anything that is not an object."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """The list itself; a lone object counts as a list of one; anything else is empty."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def string(value: object) -> str | None:
    """A string that can be written as UTF-8 (a lone surrogate cannot), else None."""
    if not isinstance(value, str):
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return value


def free_text(value: object) -> str:
    """What a person wrote. Half an emoji, cut by a carrier, becomes U+FFFD instead of spoiling the message."""
    if not isinstance(value, str):
        return ""
    return _SURROGATE.sub("\ufffd", value)


def identifier(value: object) -> str | None:
    """An opaque id: 1 to 200 characters of printable ASCII without spaces, else None."""
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def strings(value: object) -> tuple[str, ...]:
    """The strings among the members of a list; other members are passed over."""
    return tuple(text for text in map(string, items(value)) if text is not None)


def integer(value: object) -> int | None:
    """An integer that fits 64 bits; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**63 else None


def number(value: object) -> float | None:
    """A finite number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return None
    return as_float if math.isfinite(as_float) else None


def address(value: object) -> str | None:
    """A phone number, short code or sender name: the string itself, or an object's `phone_number`."""
    return string(value.get("phone_number")) if isinstance(value, dict) else string(value)


def instant_ms(value: object) -> int:
    """Unix milliseconds of an ISO 8601 time (without a zone: UTC), or 0 if there is none or it is unreadable."""
    if not isinstance(value, str) or len(value) > _LONGEST_TIME:
        return 0
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0
