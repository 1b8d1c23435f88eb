"""Figures over seeds, with their intervals."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .run import Outcome
from .shapes import Shape

STUDENT_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Of two-sided intervals of 95 %, by degrees of freedom from one to nine."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean, how far its 95 % interval reaches, and the largest value."""

    mean: float
    reach: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Of the values of all seeds; at least one."""
        mean, reach = statistics.fmean(values), 0.0
        if len(values) > 1:
            t = STUDENT_T[min(len(values) - 1, len(STUDENT_T)) - 1]
            reach = t * statistics.stdev(values) / math.sqrt(len(values))
        return cls(mean, reach, max(values))

    def text(self, digits: int = 0) -> str:
        """`12 ± 3`; one number where all seeds agree."""
        return f"{self.mean:,.{digits}f}" + (f" ± {self.reach:,.{digits}f}" if self.reach else "")


@dataclass(frozen=True, slots=True)
class Row:
    """One shape against one defence, over all seeds.

    `pumped`: messages a day of the attack's days; `worst_day`: its worst. `refused`: honest starts, in percent, while
    it lasts. `known_refused`: starts of known numbers, all seeds. `tripped_min`: minutes until the first refusal, of
    the seeds that had one.
    """

    shape: Shape
    defence: str
    attacks: Figure
    pumped: Figure
    worst_day: Figure
    refused: Figure
    known_refused: int
    tripped_min: Figure | None
    honest: int
    honest_refused: int

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "shape": self.shape.name,
            "defence": self.defence,
            "attack": self.shape.attack is not None,
            "days": self.shape.days,
            "attempts": _figure(self.attacks),
            "pumped_a_day": _figure(self.pumped),
            "pumped_on_the_worst_day": _figure(self.worst_day),
            "honest": self.honest,
            "honest_refused": self.honest_refused,
            "honest_refused_percent": _figure(self.refused),
            "known_refused": self.known_refused,
            "minutes_to_trip": self.tripped_min and _figure(self.tripped_min),
        }


def _figure(figure: Figure) -> dict[str, float]:
    return {"mean": round(figure.mean, 3), "interval95": round(figure.reach, 3), "most": round(figure.most, 3)}


def row(shape: Shape, defence: str, outcomes: Sequence[Outcome]) -> Row:
    """The outcomes of all seeds as one row."""
    trips = [one.tripped_ms / 60_000 for one in outcomes if one.tripped_ms is not None]
    return Row(
        shape,
        defence,
        Figure.of([one.attacks for one in outcomes]),
        Figure.of([sum(one.pumped.values()) / shape.days for one in outcomes]),
        Figure.of([max(one.pumped.values(), default=0) for one in outcomes]),
        Figure.of([100 * one.honest_refused / one.honest for one in outcomes]),
        sum(one.known_refused for one in outcomes),
        Figure.of(trips) if trips else None,
        sum(one.honest for one in outcomes),
        sum(one.honest_refused for one in outcomes),
    )


def refused_overall(rows: Iterable[Row]) -> float:
    """Honest starts that were refused, in percent, over all shapes."""
    found = list(rows)
    return 100 * sum(one.honest_refused for one in found) / max(1, sum(one.honest for one in found))
