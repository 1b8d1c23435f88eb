"""What is packed into one string: the parts in their order and the separator, for Python and for the scripts.

Scripts use `OptoutEntry.PACK` as the format of `string.format` and `OptoutEntry.PARSE` as the pattern of
`string.match`; `OptoutEntry.SEPARATOR` where the parts are joined by hand. `RouteSender.EACH` is the pattern of
`string.gmatch` for a list with commas: it captures a whole entry, then its parts.
"""

from dataclasses import dataclass

UNIT_SEPARATOR = "\x1f"


def flag(value: bool) -> str:
    """A truth value as fields and scripts have it."""
    return "1" if value else "0"


@dataclass(frozen=True, slots=True)
class Encoding:
    """Texts in this order with a separator between them; no text but the last contains the separator."""

    separator: str
    parts: tuple[str, ...]

    def pack(self, *values: str | int) -> str:
        """One string of as many values as there are parts. Raises ValueError for another number."""
        if len(values) != len(self.parts):
            raise ValueError(f"{len(self.parts)} parts are needed: {', '.join(self.parts)}")
        return self.separator.join(str(value) for value in values)

    def parse(self, text: str) -> list[str]:
        """The parts. Raises ValueError if there are too few."""
        values = text.split(self.separator, len(self.parts) - 1)
        if len(values) != len(self.parts):
            raise ValueError(f"{len(self.parts)} parts are needed: {', '.join(self.parts)}")
        return values

    def constants(self) -> dict[str, str]:
        """What the scripts know of it: Lua literals by name."""
        quoted = "\\31" if self.separator == UNIT_SEPARATOR else self.separator
        one = f"([^{quoted}]*)"
        last = "(.*)"
        return {
            "SEPARATOR": f"'{quoted}'",
            "PACK": "'" + quoted.join(["%s"] * len(self.parts)) + "'",
            "PARSE": "'^" + quoted.join([one] * (len(self.parts) - 1) + [last]) + "$'",
            "EACH": "'(" + quoted.join([f"([^,{quoted}]+)"] * len(self.parts)) + ")'",
        }


StoreSetup = Encoding("|", ("shards", "layout"))
"""What a store was set up with. A value without the second part was written by version 0.1.0."""

OptoutEntry = Encoding("|", ("state", "at_ms", "keyword", "source"))
"""A number's opt-out of one messaging profile. State: 1 opted out, 0 opted in."""

TimelineEntry = Encoding(UNIT_SEPARATOR, ("type", "at_ms", "delivery", "detail"))
"""One event of a verification's timeline. Detail: a JSON object."""

TimerEntry = Encoding(":", ("kind", "subject"))
"""A member of the sorted set of timers. Subject: the token of a verification, or a delivery's id."""

SendEntry = Encoding(UNIT_SEPARATOR, ("at_ms", "app", "purpose"))
"""One send to a number. Without app and purpose: a send before the last approval, which no ladder counts."""

ApiKeyEvent = Encoding(UNIT_SEPARATOR, ("type", "app", "detail"))
"""One event of an API key that is not in the audit record yet. Detail: a JSON object."""

RouteSender = Encoding("|", ("name", "kind", "messaging_profile_id"))
"""One sender of a route. A route is any number of them, separated by commas."""

RefusedNumber = Encoding(":", ("number_hash", "at_ms"))
"""One number that met a refusal. A breaker keeps any number of them, newest first, separated by commas."""

StartOutcome = Encoding(":", ("outcome", "token"))
"""What an operation that started a verification did: `created` or `resent`, and the id's token."""

CheckReply = Encoding(UNIT_SEPARATOR, ("part",))
"""The reply of an operation that checked a code: its parts, each followed by the separator."""

ReservedSlot = Encoding("|", ("until_us", "written_us"))
"""Up to when slots are reserved, and when that was written, both in microseconds."""

LimitRule = Encoding(":", ("limit", "per_ms"))
"""A limit as scripts get it: so many in any window of so many milliseconds. A list is separated by commas."""

AlertEntry = Encoding(UNIT_SEPARATOR, ("id", "text"))
"""One alert that waits. Its id begins with the milliseconds at which it was raised and a dash."""

SenderRatios = Encoding("|", ("success", "spam"))
"""What the carrier reports of a sender: two ratios of 0 to 1, each empty where the carrier reports none."""
