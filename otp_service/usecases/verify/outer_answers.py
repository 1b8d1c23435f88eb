"""What the answers of limits mean together."""

from collections.abc import Sequence

from ...domain.admission import OuterAnswer
from ...domain.policy import Slot


def refusing(answers: Sequence[OuterAnswer]) -> OuterAnswer | None:
    """The limit that refuses for the longest: a caller who obeys its wait passes. None, if all let one through.

    A limit in monitor mode refuses nothing.
    """
    found = [one for one in answers if one.wait_ms and not (isinstance(one.wanted, Slot) and one.wanted.is_monitored)]
    return max(found, key=lambda one: one.wait_ms, default=None)
