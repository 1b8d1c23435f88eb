"""The dictionary as the scripts see it: `Record.STATUS` in a script is a literal when it reaches the store."""

import re
from functools import cache

from . import encodings, fields, guard_fields, guard_numbers
from .encodings import Encoding

_NAME = re.compile(r"\b([A-Z][a-z]\w*)\.([A-Z][A-Z0-9_]*)\b")


@cache
def _literals() -> dict[str, dict[str, str]]:
    literals = {
        name: {key: f"'{value}'" for key, value in vars(group).items() if key.isupper()}
        for name, group in (*vars(fields).items(), *vars(guard_fields).items())
        if isinstance(group, type)
    }
    packed = {name: value.constants() for name, value in vars(encodings).items() if isinstance(value, Encoding)}
    return literals | packed | {"GuardNumbers": guard_numbers.constants()}


def with_literals(text: str) -> str:
    """The script with every name of the dictionary replaced. Raises LookupError for a name that is not in it."""
    return _NAME.sub(lambda match: _literals()[match[1]][match[2]], text)
