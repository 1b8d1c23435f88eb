"""For which part of the log a bundle claims to be complete.

The record that says which records belong to the answer says how many records of the log were searched. Behind them, and
without such a record behind the last event of each verification, nothing is claimed: later events may have been cut off
and nothing in the bundle shows it. Whoever has the whole log can refute the claim.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .notes import NoteError

SEARCHED = "searched"
"""The member of a statement: `1-N`, the records that were searched."""

_RANGE = re.compile("1-([1-9][0-9]{0,14})", re.ASCII)


def range_of(size: int) -> str:
    """As a statement has it."""
    return f"1-{size}"


def searched(statement: Mapping[str, Any], stated: Sequence[int]) -> int | None:
    """How many records were searched; None where an older version made the statement, which did not say it.

    `stated`: the records that belong to the answer. Raises NoteError where one of them was not searched.
    """
    told = statement["detail"].get(SEARCHED)
    if told is None:
        return None
    found = _RANGE.fullmatch(told) if isinstance(told, str) else None
    if found is None or int(found[1]) >= statement["seq"]:
        raise NoteError("the statement does not say which records were searched")
    if stated and stated[-1] > int(found[1]):
        raise NoteError(f"record {stated[-1]} belongs to the answer, and stands behind the records that were searched")
    return int(found[1])


def last_events(proved: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Of each verification the position in it and the record of the last event that is there."""
    last: dict[str, tuple[int, int]] = {}
    for leaf in proved:
        one, n = leaf.get("verification_id"), leaf.get("n")
        if isinstance(one, str) and isinstance(n, int) and n > last.get(one, (0, 0))[0]:
            last[one] = n, leaf["seq"]
    return last


def claim(statement_seq: int | None, size: int | None) -> str:
    """What is claimed, in words. `size`: how many records were searched, if the statement says it."""
    if statement_seq is None:
        return "each verification up to its last event here; nothing after that is claimed"
    if size is None:
        return f"up to record {statement_seq}, as that record says; nothing after it is claimed"
    return f"records 1 to {size} of the log, as record {statement_seq} says; nothing after record {size} is claimed"
