"""Mutants of a Lua script, by its tokens.

Comparisons are flipped, `and` and `or` exchanged, `not` dropped, numbers raised by one, `+` and `-` exchanged, the
smaller taken for the larger, two arguments swapped, and statements of one line dropped. Strings and comments stay.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .mutant import Mutant

_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*)|(?P<string>'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)|(?P<number>[0-9]+)|(?P<operator>\.\.|[<>=~]=|[-+*/<>=(){}\[\],#%])"
)
_FLIPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "~=", "~=": "==", "+": "-", "-": "+"}
_WORDS = {"and": "or", "or": "and", "true": "false", "false": "true", "math.min": "math.max", "math.max": "math.min"}
_STATEMENT = re.compile(r"[ ]*(?:redis\.call\(|[a-z_]+\(|(?!local |for )[A-Za-z_.#\[\]0-9 +]+ = )[^\n]*")
_TWO_NAMES = re.compile(r"(?<=[a-z_])\(([a-z_]+), ([a-z_]+)\)")


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its kind, text and place in the source."""

    kind: str
    text: str
    start: int


def tokens(source: str) -> list[Token]:
    """The tokens of a script, comments left out."""
    found = (Token(str(match.lastgroup), match[0], match.start()) for match in _TOKEN.finditer(source))
    return [token for token in found if token.kind != "comment"]


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """All mutants of a script."""
    for start, old, new, what in (*_of_tokens(tokens(source)), *_of_lines(source)):
        text = source[:start] + new + source[start + len(old) :]
        yield Mutant(path, source.count("\n", 0, start) + 1, what, text)


def _of_tokens(found: Sequence[Token]) -> Iterator[tuple[int, str, str, str]]:
    for before, token in zip(("", *(each.text for each in found)), found, strict=False):
        new = _changed(before, token)
        if new is not None:
            yield token.start, token.text, new, f"`{token.text}` becomes `{new}`" if new else f"`{token.text}` dropped"


def _changed(before: str, token: Token) -> str | None:
    """What stands for the token in a mutant; None if there is none."""
    if token.kind == "number":
        return str(int(token.text) + 1)
    if token.kind == "operator" and not (token.text == "-" and before in ("(", ",", "=", "return", "")):
        return _FLIPS.get(token.text)
    return "" if token.text == "not" else _WORDS.get(token.text) if token.kind == "name" else None


def _of_lines(source: str) -> Iterator[tuple[int, str, str, str]]:
    at = 0
    for line in source.splitlines(keepends=True):
        body = line.rstrip("\n")
        if _STATEMENT.fullmatch(body) and body.count("(") == body.count(")") and body.count("{") == body.count("}"):
            yield at, body, "", f"dropped `{body.strip()[:60]}`"
        for match in _TWO_NAMES.finditer(body):
            swapped = f"({match[2]}, {match[1]})"
            yield at + match.start(), match[0], swapped, f"`{match[0]}` becomes `{swapped}`"
        at += len(line)
