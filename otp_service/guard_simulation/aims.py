"""What the guard must reach, at 1,000 honest starts a day."""

from collections.abc import Iterator, Sequence

from .figures import Row, refused_overall
from .shapes import ATTACKS, INNOCENT, LARGEST

PUMPED_A_DAY = 250
REFUSED_PERCENT = 0.3
REFUSED_IN_LARGEST_PERCENT = 2.5


def missed(rows: Sequence[Row]) -> Iterator[str]:
    """The aims that these rows of one defence miss, as sentences."""
    attacks, innocent = {shape.name for shape in ATTACKS}, {shape.name for shape in INNOCENT}
    for row in rows:
        name = row.shape.name
        if name in attacks and row.pumped.mean > PUMPED_A_DAY:
            yield f"{name}: {row.pumped.mean:.0f} pumped messages a day (at most {PUMPED_A_DAY})"
        if row.known_refused:
            yield f"{name}: {row.known_refused} starts of known numbers refused (none)"
        if name == LARGEST and row.refused.mean > REFUSED_IN_LARGEST_PERCENT:
            yield f"{name}: {row.refused.mean:.2f} % refused (at most {REFUSED_IN_LARGEST_PERCENT})"
        if name in innocent and row.honest_refused:
            yield f"{name}: {row.honest_refused} honest starts refused (none)"
    usual = [row for row in rows if row.shape.name in attacks | innocent]
    if refused_overall(usual) > REFUSED_PERCENT:
        yield f"{refused_overall(usual):.2f} % of all honest starts refused (at most {REFUSED_PERCENT})"
