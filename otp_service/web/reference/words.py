"""How texts and schemas of the document read on the page."""

import json
import re
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

_CODE = re.compile(r"`([^`]+)`")
_CODE_ELEMENT = Markup("<code>{}</code>")
_BOUNDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} members",
    "maxProperties": "at most {} members",
    "format": "{}",
    "pattern": "pattern {}",
    "contentMediaType": "{}",
}


def code_spans(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    parts = _CODE.split(text)
    return Markup("").join(_CODE_ELEMENT.format(part) if place % 2 else part for place, part in enumerate(parts))


def limits(schema: dict[str, Any]) -> Iterator[str]:
    """What a value must keep to besides its type."""
    for keyword, words in _BOUNDS.items():
        if keyword in schema:
            yield words.format(schema[keyword])


def pretty(value: object) -> str:
    """JSON for a reader."""
    return json.dumps(value, indent=2, ensure_ascii=False)
