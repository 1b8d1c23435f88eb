"""A number's opt-outs."""

import msgspec

from ...clock import rfc3339
from ...domain.optout_list import OptOut
from .values import MaskedNumber, OptOutSource, Time


class ProfileOptOut(msgspec.Struct):
    """What one messaging profile holds against a number."""

    messaging_profile_id: str
    opted_out: bool
    keyword: str | None
    since: Time | None
    source: OptOutSource | None


class OptOuts(msgspec.Struct):
    """A number's opt-outs."""

    to: MaskedNumber
    profiles: list[ProfileOptOut]


def profile_optout(entry: OptOut) -> ProfileOptOut:
    """An entry of the registry; one without a time stands for a profile of which nothing is known."""
    known = bool(entry.at_ms)
    return ProfileOptOut(
        entry.messaging_profile_id,
        entry.opted_out,
        entry.keyword,
        rfc3339(entry.at_ms) if known else None,
        entry.source if known else None,
    )
