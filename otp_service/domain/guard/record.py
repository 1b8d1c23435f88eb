"""What the audit record keeps of a start that the guard judged, so that another policy can be tried on it.

`verification.started`, `verification.resent` and a `verification.refused` by the guard have it in `detail.guard`:
`country|block_10k|block_1k|address:cost:flags|at_ms-turns`. Blocks and address are keyed hashes, `-` for no address.
Flags are those of the store: `n`, then `w` for a warm block, `o` in an outage, `a` if it took from the total, `c` and
`t` for probes. Alone stand `k`, for a start that counts as one of a known number (the first in a day, and no budget was
asked about it), and `v`, for the first start after a lift let the number pass. The last part is when the budgets judged
it, in milliseconds, and what they had seen by then (`Turns`); with `k` and `v` there is none. `-` alone: the guard left
the start alone, and knows the number from before. Any other start changed no budget: it was of a known number on the
same day, paid for by an earlier count, or left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from ..audit import Event, EventType
from ..prices import SPEND_LIMIT
from .rules import Start

FIELD, ALONE = "guard", "-"


class Turns(NamedTuple):
    """How many changes the budgets of an app had seen, this start among them.

    Starts that were judged; approvals of others than known numbers, and of known ones; starts of known numbers; what
    was given back because nothing was sent. Each is on record a moment before the budgets see it.
    """

    starts: int = 0
    approved: int = 0
    known_approved: int = 0
    known_starts: int = 0
    unsent: int = 0


NO_TURNS = Turns()


@dataclass(frozen=True, slots=True)
class JudgedStart:
    """A start that the guard counted. `known`: of a known number; `alone`: it was left alone; `covered`: a lift let it
    pass; else it was judged.

    `warm`: its block was. `at_ms` and `turns`: when it was judged, and what the budgets had seen.
    """

    start: Start
    warm: bool = False
    known: bool = False
    alone: bool = False
    covered: bool = False
    at_ms: int = 0
    turns: Turns = NO_TURNS

    @property
    def is_judged(self) -> bool:
        """Whether the budgets were asked."""
        return not (self.known or self.alone or self.covered)


def read(number: str, detail: Mapping[str, Any]) -> JudgedStart | None:
    """What an event's detail keeps of a start; None where it keeps nothing, or nothing of this form."""
    parts = str(detail.get(FIELD, "")).split("|")
    if parts == [ALONE]:
        return JudgedStart(Start(number, "", "", ""), alone=True)
    if len(parts) != 5:
        return None
    country, block_10k, block_1k, taken, turn = parts
    address, cost, flags = _three(taken)
    if not flags:
        return None
    start = Start(
        number, block_10k, block_1k, country, "" if address == "-" else address, cost not in ("0", "1", "1.0")
    )
    if flags in ("k", "v"):
        return JudgedStart(start, known=flags == "k", covered=flags == "v")
    at_ms, *counts = turn.split("-")
    if len(counts) != len(Turns._fields) or not all(one.isdecimal() for one in (at_ms, *counts)):
        return None
    return JudgedStart(start, "w" in flags, at_ms=int(at_ms), turns=Turns(*map(int, counts)))


class Unread(StrEnum):
    """Why a start cannot be judged again. `LOST`: the budgets judged it, and the record does not say what they saw."""

    EVENT = "unknown_event"
    DETAIL = "unreadable_detail"
    FORM = "unknown_form"
    LOST = "lost"
    ERASED = "erased"


def of_event(event: Event, number: str) -> JudgedStart | Unread | None:
    """What a start's event keeps, or why it cannot be read; None where the guard had nothing to note."""
    detail = detail_of(event)
    if detail is None:
        return Unread.DETAIL
    if detail.get(FIELD):
        return read(number, detail) or Unread.FORM
    if event.type != EventType.REFUSED:
        return Unread.ERASED if event.number_hash is None else None
    if not _is_by_guard(detail):
        return None
    return Unread.ERASED if event.number_hash is None else Unread.LOST


def detail_of(event: Event) -> Mapping[str, Any] | None:
    """An event's detail; None where it is no JSON object, or the ledger has none."""
    try:
        detail = event.detail
    except ValueError:
        return None
    return detail if isinstance(detail, dict) and not {"unreadable", "too_long"} & set(detail) else None


def _is_by_guard(detail: Mapping[str, Any]) -> bool:
    """Whether a budget of the guard refused: the risk hook and the daily spend limit refuse with the same code."""
    return detail.get("code") == "guard_refused" and detail.get("limit") not in (None, SPEND_LIMIT)


def _three(taken: str) -> tuple[str, str, str]:
    address, _, rest = taken.partition(":")
    cost, _, flags = rest.partition(":")
    return address, cost, flags
