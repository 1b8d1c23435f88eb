"""Pages of a listing: `page[number]` from 1, `page[size]` from 1 to 250 (default 20), and their `meta`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from otp_service.sandbox.errors import CarrierError

DEFAULT_SIZE = 20
MAX_SIZE = 250
_MAX_NUMBER = 1_000_000_000

T = TypeVar("T")


def page(query: Mapping[str, str], items: Sequence[T], to_json: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """The requested page; a page after the last one is empty."""
    number = _whole(query, "page[number]", 1, _MAX_NUMBER)
    size = _whole(query, "page[size]", DEFAULT_SIZE, MAX_SIZE)
    first = (number - 1) * size
    return {
        "data": [to_json(item) for item in items[first : first + size]],
        "meta": {
            "total_pages": -(-len(items) // size),
            "total_results": len(items),
            "page_number": number,
            "page_size": size,
        },
    }


def bad_parameter(name: str, detail: str) -> CarrierError:
    """A query parameter has a wrong value."""
    return CarrierError(400, "10015", detail, parameter=name)


def _whole(query: Mapping[str, str], name: str, default: int, high: int) -> int:
    text = query.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= high):
        raise bad_parameter(name, f"'{name}' must be a whole number from 1 to {high}.")
    return int(text)
