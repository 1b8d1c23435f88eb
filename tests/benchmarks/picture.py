"""The results as a picture for the guide: bars of answers a second, grouped by row. Drawn from the JSON of a run."""

import html
from collections.abc import Sequence

from . import figures, report
from .measure import Leg

MARGIN, LABELS, BAR, GAP, BARS, FIGURE = 18, 190, 18, 14, 420, 70
HEADING = 22
COLOURS = ("#1e40af", "#6b7280", "#5b21b6", "#166534", "#9a3412", "#374151")
INK = "#374151"
TITLE = "Answers a second of otp-service and others"


def draw(legs: Sequence[Leg], about: dict[str, str], connections: int = 16) -> str:
    """The SVG of the rows with this number of connections. Raises ValueError if there are none."""
    rows = [row for row in report.rows_of(legs) if row.endswith(f", {connections} connections")]
    if not rows:
        raise ValueError(f"there are no rows with {connections} connections")
    found = {row: _rates(legs, row) for row in rows}
    most = max(rate for rates in found.values() for _, rate in rates)
    colours = dict(zip(report.targets_of(legs), COLOURS, strict=False))
    parts, y = [], float(MARGIN + HEADING)
    for row, rates in found.items():
        parts.append(_text(MARGIN, y + 4, row.removesuffix(f", {connections} connections"), bold=True))
        y += GAP
        for name, rate in rates:
            parts.append(_bar(name, rate, rate / most, y, colours.get(name, INK)))
            y += BAR
        y += GAP + 8
    return _page(parts, _words(found, about), y + MARGIN)


def _rates(legs: Sequence[Leg], row: str) -> list[tuple[str, float]]:
    names = report.targets_of([leg for leg in legs if leg.row == row])
    return [(name, figures.summarize([leg.per_s for leg in report.of(legs, row, name)]).median) for name in names]


def _words(found: dict[str, list[tuple[str, float]]], about: dict[str, str]) -> str:
    """The figures as sentences, for those who do not see the bars."""
    rows = [f"{row}: {', '.join(f'{name} {rate:,.0f}' for name, rate in rates)}." for row, rates in found.items()]
    return f"Medians of answers a second. {' '.join(rows)} Measured on {about.get('machine', 'an unknown machine')}."


def _text(x: float, y: float, words: str, *, bold: bool = False, end: bool = False) -> str:
    kind, anchor = ' class="row"' if bold else "", ' text-anchor="end"' if end else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{INK}"{kind}{anchor}>{html.escape(words)}</text>'


def _bar(name: str, rate: float, share: float, y: float, colour: str) -> str:
    width, x = max(1.0, share * BARS), MARGIN + LABELS
    bar = f'<rect x="{x}" y="{y:.0f}" width="{width:.1f}" height="{BAR - 4}" rx="2" fill="{colour}"/>'
    return _text(x - 8, y + 12, name, end=True) + bar + _text(x + width + 8, y + 12, f"{rate:,.0f}")


def _page(parts: Sequence[str], words: str, height: float) -> str:
    width = MARGIN * 2 + LABELS + BARS + FIGURE
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" role="img" '
        'aria-labelledby="title about">',
        f'<title id="title">{html.escape(TITLE)}</title>',
        f'<desc id="about">{html.escape(words)}</desc>',
        "<style>text { font: 13px system-ui, sans-serif; } .row { font-weight: 600; }</style>",
        f'<rect width="{width}" height="{height:.0f}" rx="10" fill="#ffffff"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
