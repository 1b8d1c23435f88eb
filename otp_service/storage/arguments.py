"""Arguments that scripts take as one text of several parts."""

from collections.abc import Iterable
from functools import cache

from ..domain.policy import Limit, Sender
from .schema.encodings import LimitRule, RouteSender


def route_text(route: Iterable[Sender]) -> str:
    """A route as the scripts read it."""
    return ",".join([RouteSender.pack(sender.name, sender.kind, sender.messaging_profile_id) for sender in route])


@cache
def rules_text(limits: tuple[Limit, ...]) -> str:
    """Limits as the scripts read them. A process has only those of its configuration."""
    return ",".join([LimitRule.pack(limit.limit, limit.per_ms) for limit in limits])
