"""What the answers of limits mean together."""

from collections.abc import Sequence

from ...domain.admission import OuterAnswer
from ...domain.policy import Slot


def refusing(answers: Sequence[OuterAnswer]) -> OuterAnswer | None:
    """The limit that refuses for the longest: a caller who obeys its wait passes. None, if all let one through.

    A limit in monitor mode refuses nothing.
    """
    return max(_refusing(answers), key=lambda one: one.wait_ms, default=None)


def refusing_with_caller(answers: Sequence[OuterAnswer]) -> list[OuterAnswer]:
    """Those that refuse and count the number with what the caller says: they are remembered, to be lifted."""
    return [one for one in _refusing(answers) if isinstance(one.wanted, Slot) and one.wanted.of_caller]


def _refusing(answers: Sequence[OuterAnswer]) -> list[OuterAnswer]:
    return [one for one in answers if one.wait_ms and not (isinstance(one.wanted, Slot) and one.wanted.is_monitored)]
