"""Arguments that scripts take as one text of several parts."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from ..domain.admission import OuterAnswer
from ..domain.denial import Denial
from ..domain.policy import Limit, Sender, Slot
from ..domain.prices import ExpectedCost
from .schema.encodings import LimitRule, RouteSender, SendSlot, SpendTaken

CLOCKS_APART_MS = 5_000
"""How much the carrier's clock may be behind ours when it says when a person wrote."""

MOST_SLOTS = 64
"""Of more than so many slots that a send takes the others are not given back."""


def route_text(route: Iterable[Sender]) -> str:
    """A route as the scripts read it."""
    return ",".join([RouteSender.pack(sender.name, sender.kind, sender.messaging_profile_id) for sender in route])


@cache
def rules_text(limits: tuple[Limit, ...]) -> str:
    """Limits as the scripts read them. A process has only those of its configuration."""
    return ",".join([LimitRule.pack(limit.limit, limit.per_ms) for limit in limits])


def slots_text(taken: Iterable[OuterAnswer]) -> str:
    """Slots that a send has taken, as they are kept with it."""
    packed = [
        SendSlot.pack(one.wanted.name, one.wanted.limit.limit, one.wanted.limit.per_ms, one.wanted.subject, one.mark)
        for one in taken
        if isinstance(one.wanted, Slot)
    ]
    return ",".join(packed[:MOST_SLOTS])


def read_slots(text: str) -> list[OuterAnswer]:
    """Undo `slots_text`."""
    return [_taken(*SendSlot.parse(one)) for one in text.split(",") if one]


def denial_arguments(denial: Denial) -> dict[str, Any]:
    """A "that wasn't me" as the script takes it."""
    return {
        "apps": ",".join(sorted(denial.apps)),
        "senders": ",".join(sorted(denial.senders)),
        # An event that is posted again says nothing about a code that was sent after it first came.
        "before_ms": min(denial.at_ms + CLOCKS_APART_MS, denial.received_ms),
    }


def spend_text(answer: OuterAnswer | None) -> str:
    """Whether an expected price was taken, as scripts read it."""
    if answer is None or not isinstance(answer.wanted, ExpectedCost):
        return ""
    return "full" if answer.wait_ms else SpendTaken.pack(answer.mark, answer.wanted.micros, answer.wanted.region)


def read_spend(app: str, text: str) -> list[OuterAnswer]:
    """Undo `spend_text` for a price that was taken; empty for none."""
    if not text:
        return []
    day, micros, region = SpendTaken.parse(text)
    return [OuterAnswer(ExpectedCost(app, region, int(micros)), 0, day)]


def _taken(name: str, limit: str, per_ms: str, subject: str, mark: str) -> OuterAnswer:
    return OuterAnswer(Slot(name, subject, Limit(int(limit), int(per_ms))), 0, mark)
