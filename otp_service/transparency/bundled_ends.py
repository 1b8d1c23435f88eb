"""The ends of the verifications in a bundle: one whose end is missing was cut off, or never came.

Events of a verification are counted (`n`), so a gap shows. What comes last shows by its kind: every code ends by
itself, ten minutes after its start at the latest, and the end is an event.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

ENDS = frozenset({f"verification.{end}" for end in ("approved", "exhausted", "expired", "canceled", "denied")})
DUE_S = 900
"""So long after its start the end of a verification is on record: ten minutes, and five in which a worker comes."""

_ABOUT = ("verification ", "number")
"""How questions begin whose answers have all of a verification. The answer to one about a time may begin or end in it.
"""


def unended(proved: Sequence[Mapping[str, Any]], statement: Mapping[str, Any] | None) -> list[str]:
    """The ids of verifications whose end should be there and is not, in order.

    Without a statement nobody knows when the question was put: it is all that have none.
    """
    if statement is not None and not str(statement["detail"].get("question")).startswith(_ABOUT):
        return []
    asked = None if statement is None else _seconds(statement)
    began: dict[str, float] = {}
    ended: set[str] = set()
    for leaf in _counted(proved):
        began.setdefault(leaf["verification_id"], _seconds(leaf))
        if leaf["type"] in ENDS:
            ended.add(leaf["verification_id"])
    due = (one for one, at in began.items() if asked is None or at + DUE_S <= asked)
    return sorted(one for one in due if one not in ended)


def _counted(proved: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    counted = (leaf for leaf in proved if isinstance(leaf.get("verification_id"), str))
    return sorted((leaf for leaf in counted if isinstance(leaf.get("n"), int)), key=lambda leaf: int(leaf["n"]))


def _seconds(leaf: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(leaf.get("at"))).timestamp()
    except (ValueError, OverflowError):
        return 0.0
