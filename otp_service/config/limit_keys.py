"""What an entry of `[[limits]]` counts by: one word, or a list of words for each combination of their values."""

import re
from typing import Self

from ..domain.policy import CountedBy, LimitKey

MEMBER_FORM = "1 to 32 letters, digits, - and _"
_CUSTOM = re.compile(LimitKey.CUSTOM + r":([A-Za-z0-9_-]{1,32})", re.ASCII)


class LimitKeys(tuple[CountedBy, ...]):
    """The keys of a limit, read from a text or from a list of texts."""

    __slots__ = ()

    @classmethod
    def read(cls, value: object) -> Self:
        """Raises ValueError with what to write instead."""
        words = value if isinstance(value, list) else [value]
        if not words:
            raise ValueError(f"must name something to count by; write one of {', '.join(LimitKey)}")
        found = [_counted_by(word) for word in words]
        twice = next((word for at, word in enumerate(words) if word in words[:at]), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is in the list twice; write it once")
        return cls(found)


def _counted_by(word: object) -> CountedBy:
    text = word if isinstance(word, str) else ""
    if text in set(LimitKey):
        return CountedBy(LimitKey(text))
    member = _CUSTOM.fullmatch(text)
    if member is None:
        words = f"{', '.join(LimitKey)}, or {LimitKey.CUSTOM}:NAME (a name of {MEMBER_FORM})"
        raise ValueError(f"{word!r} is unknown; write one of {words}")
    return CountedBy(LimitKey.CUSTOM, member[1])
