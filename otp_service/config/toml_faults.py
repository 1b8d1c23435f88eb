"""What is wrong with a text that is no TOML: every place of it, in words for people who write the file.

The parser of the standard library ends at the first place. So that one is left out, and the rest is read again.
"""

import re
import tomllib
from collections.abc import Iterator

MOST = 10
"""Places that are named. In a file that is no TOML at all, more would help nobody."""

_WORDS = (
    ("Invalid value", "this is no value; text stands in quotes"),
    ("Unterminated string", "a text has no closing quote"),
    ("Expected '='", "a name needs = and a value behind it"),
    ("Expected newline", "something stands behind the value; text stands in quotes"),
    ("Expected ']'", "the name of a table needs its closing bracket"),
    ("Cannot declare", "this table stands there twice"),
    ("Cannot overwrite", "this name stands there twice"),
    ("Duplicate", "this name stands there twice"),
    ("Invalid statement", "a line begins with a name or with the [name] of a table"),
    ("Unescaped", "in a text, write a backslash twice"),
    ("Unclosed", "a list or a table needs its closing bracket"),
    ("Found invalid", "a character that may not stand there"),
)
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)$")
_GOES_ON = ("Unterminated", "Unclosed", "Found invalid")
"""Where a value does not end, what comes behind it is no fault of its own."""


def toml_faults(text: str) -> Iterator[tuple[str, str]]:
    """Each place and what is wrong there; nothing of the text itself, which may hold secrets."""
    lines = text.split("\n")
    for _ in range(MOST):
        fault = _first("\n".join(lines))
        if fault is None:
            return
        place = _PLACE.search(fault)
        yield _named(place), _plain(fault)
        if place is None or fault.startswith(_GOES_ON):
            return
        lines[int(place[1]) - 1] = ""


def _first(text: str) -> str | None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return str(error)
    return None


def _named(place: "re.Match[str] | None") -> str:
    return f"line {place[1]}, column {place[2]}" if place else "at its end"


def _plain(fault: str) -> str:
    return next((words for beginning, words in _WORDS if fault.startswith(beginning)), "this is not TOML")
