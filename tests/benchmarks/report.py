"""The table of the results in Markdown, with ratios and what spoils them."""

from collections.abc import Sequence

from . import figures
from .measure import Leg

GROUPS = ("service", "store", "worker")
LEGEND = (
    "`÷ it`: answers a second of a table's first line ÷ its own. `by CPU`: its CPU of an answer ÷ that of the first "
    "line (service, store and worker)."
)
QUIET_CORES = 0.3
"""So much work of others beside a leg, and its row is marked: on two cores the figures are then too low."""


def rows_of(legs: Sequence[Leg]) -> list[str]:
    """The names of the rows in the order in which they came."""
    return list(dict.fromkeys(leg.row for leg in legs))


def targets_of(legs: Sequence[Leg]) -> list[str]:
    """The names of the targets in the order in which they came."""
    return list(dict.fromkeys(leg.target for leg in legs))


def of(legs: Sequence[Leg], row: str, target: str) -> list[Leg]:
    """The legs of one row and target, by round."""
    found = [leg for leg in legs if (leg.row, leg.target) == (row, target)]
    return sorted(found, key=lambda leg: leg.round)


def table(legs: Sequence[Leg], row: str) -> list[str]:
    """The lines of one row's table: the first target is the one that the others are compared with."""
    legs = [leg for leg in legs if leg.row == row]
    names = targets_of(legs)
    first = of(legs, row, names[0])
    lines = [
        f"### {row}",
        "",
        "| | a second | lowest–highest | p50 ms | p99 ms | CPU µs service + store | load | memory MB | others' cores "
        f"| {names[0]} ÷ it | by CPU |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [_line(of(legs, row, name), first) for name in names] + [""]


def _line(legs: Sequence[Leg], first: Sequence[Leg]) -> str:
    rates = figures.summarize([leg.per_s for leg in legs])
    quotient = figures.ratio({leg.round: leg.per_s for leg in first}, {leg.round: leg.per_s for leg in legs})
    by_cpu = figures.ratio({leg.round: cpu_of(leg) for leg in legs}, {leg.round: cpu_of(leg) for leg in first})
    others = median(legs, "other_cores")
    cells = [
        legs[0].target + failures(legs),
        f"{rates.median:,.0f}",
        f"{rates.low:,.0f}–{rates.high:,.0f} ({rates.spread:.0%})",
        f"{median(legs, 'p50_ms'):.2f}",
        f"{median(legs, 'p99_ms'):.1f}",
        " + ".join(f"{cpu(legs, group):.0f}" for group in GROUPS if any(group in leg.cpu_us for leg in legs)),
        f"{cpu(legs, 'load'):.0f}",
        f"{median(legs, 'memory_kb') / 1024:.0f}",
        f"{others:.2f}{' (!)' if others > QUIET_CORES else ''}",
        *("–" if value is None else f"{value:.2f}" for value in (quotient, by_cpu)),
    ]
    return f"| {' | '.join(cells)} |"


def median(legs: Sequence[Leg], name: str) -> float:
    """The median of one figure."""
    return figures.summarize([float(getattr(leg, name)) for leg in legs]).median


def cpu(legs: Sequence[Leg], group: str) -> float:
    """The median CPU of a group in microseconds per answer."""
    return figures.summarize([leg.cpu_us.get(group, 0.0) for leg in legs]).median


def failures(legs: Sequence[Leg]) -> str:
    """` (12% failed)` where answers had a wrong status or did not come: they are not among the answers a second."""
    failed = sum(leg.failed for leg in legs)
    requests = sum(sum(leg.statuses.values()) + leg.errors for leg in legs)
    return f" ({failed / requests:.0%} failed)" if failed else ""


def cpu_of(leg: Leg) -> float:
    """The CPU of an answer in microseconds, of everything but the load generator and the carrier."""
    return sum(leg.cpu_us.get(group, 0.0) for group in GROUPS)


def extra_table(legs: Sequence[Leg], row: str) -> list[str]:
    """The lines of a row that has figures of its own: medians, with the ends in parentheses."""
    legs = [leg for leg in legs if leg.row == row]
    names = list(dict.fromkeys(name for leg in legs for name in leg.extra))
    lines = [f"### {row}", "", f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for target in targets_of(legs):
        cells = [_extra_cell(of(legs, row, target), name) for name in names]
        lines.append(f"| {target} | {' | '.join(cells)} |")
    return [*lines, ""]


def _extra_cell(legs: Sequence[Leg], name: str) -> str:
    values = [leg.extra[name] for leg in legs if name in leg.extra]
    if not values:
        return "–"
    summary = figures.summarize(values)
    ends = f" ({short(summary.low)}–{short(summary.high)})" if len(values) > 1 else ""
    return f"{short(summary.median)}{ends}"


def short(value: float) -> str:
    """A figure with three digits or more, never as a power of ten: `12,345`, `123`, `12.3`, `0.12`."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def render(legs: Sequence[Leg], faults: Sequence[str], about: dict[str, str], goals: Sequence[str] = ()) -> str:
    """The whole report; `goals` are the lines of their table."""
    lines = ["## Benchmark", "", *(f"* {name}: {value}" for name, value in about.items()), ""]
    for row in rows_of(legs):
        own = any(leg.extra for leg in legs if leg.row == row)
        lines += extra_table(legs, row) if own else table(legs, row)
    if any(not leg.extra for leg in legs):
        lines += [LEGEND, ""]
    if any(leg.other_cores > QUIET_CORES for leg in legs):
        lines += ["(!): others used the machine meanwhile; then the ratio by CPU (its CPU ÷ ours) counts more.", ""]
    lines += [*goals, *(f"* fault: {fault}" for fault in faults)]
    return "\n".join(lines).rstrip("\n") + "\n"
