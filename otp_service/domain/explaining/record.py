"""An event as an explanation reads it, and what an explanation is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..delivery import Refused
from ..policy import Policy


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of the record. `at_ms`: Unix milliseconds of the store's clock."""

    seq: int
    at_ms: int
    type: str
    app: str | None = None
    verification: str | None = None
    delivery: str | None = None
    policy: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ordinal(self) -> int:
        """Which delivery of its verification it is about; 0 for none."""
        text = (self.delivery or "").rpartition("-")[2]
        return int(text) if text.isascii() and text.isdigit() else 0


class Basis(StrEnum):
    """Where a result comes from."""

    RECOMPUTED = "recomputed"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Step:
    """One rule on one fact. `holds`: whether the record agrees with it."""

    fact: str
    rule: str
    result: str
    basis: Basis = Basis.RECOMPUTED
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, step by step: the outcome on record, and the one that the rules come to."""

    recorded: str
    recomputed: str
    steps: tuple[Step, ...]

    @property
    def agrees(self) -> bool:
        """Whether the outcome is the same, and no step speaks against the record."""
        return self.recorded == self.recomputed and all(step.holds for step in self.steps)


CLOCK_MS = 100
"""An event's time is that of the step's beginning; rules read the clock during it. So much apart they count as one."""

PolicyOf = Callable[[str | None], Policy]
"""The configuration of this hash. Raises KeyError if it is not known."""

RefusalOf = Callable[[str, str, bool], Refused | None]
"""What a carrier's code and title mean; the third says whether they come from a delivery report."""


def taken(fact: str, rule: str, result: str = "as recorded") -> Step:
    """A step whose fact the record does not hold."""
    return Step(fact, rule, result, Basis.RECORDED)


def checked(fact: str, rule: str, *, holds: bool) -> Step:
    """A step that must hold where the decision is what the record says."""
    return Step(fact, rule, "yes" if holds else "no", holds=holds)
