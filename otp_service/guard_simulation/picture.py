"""The attacks as a picture: pumped messages a day for each defence, on a logarithmic scale."""

import html
import math
from collections.abc import Sequence

from .aims import PUMPED_A_DAY
from .figures import Row
from .run import GUARD, PREFIX_BREAKER, UNVERIFIED

MARGIN, LABELS, BARS, FIGURE = 18, 150, 420, 90
HEADING, BAR, GAP = 22, 18, 14
MOST = 10_000
NAMES = {GUARD: "the guard", UNVERIFIED: "unverified budgets", PREFIX_BREAKER: "prefix breaker"}
COLOURS = {GUARD: "#166534", UNVERIFIED: "#5b21b6", PREFIX_BREAKER: "#6b7280"}
INK, LINE = "#374151", "#9a3412"
TITLE = "Pumped messages a day, by attack and defence"


def draw(rows: Sequence[Row]) -> str:
    """The SVG of the attacks among these rows."""
    attacks = list(dict.fromkeys(row.shape for row in rows if row.shape.attack is not None))
    parts, y = [], float(MARGIN + HEADING)
    for shape in attacks:
        parts.append(_text(MARGIN, y + 4, shape.title, bold=True))
        y += GAP
        for defence in NAMES:
            (row,) = [one for one in rows if one.shape is shape and one.defence == defence]
            parts.append(_bar(row, y))
            y += BAR
        y += GAP + 8
    return _page([_aim(y), *parts], _words(rows), y + MARGIN + 4)


def _place(a_day: float) -> float:
    """Where a figure ends on the scale, from one to ten thousand."""
    return BARS * min(1.0, max(0.005, math.log10(max(a_day, 1.0)) / math.log10(MOST)))


def _bar(row: Row, y: float) -> str:
    x, width = MARGIN + LABELS, _place(row.pumped.mean)
    bar = f'<rect x="{x}" y="{y:.0f}" width="{width:.1f}" height="{BAR - 4}" rx="2" fill="{COLOURS[row.defence]}"/>'
    name = _text(x - 8, y + 12, NAMES[row.defence], end=True)
    return name + bar + _text(x + width + 8, y + 12, row.pumped.text())


def _aim(bottom: float) -> str:
    x = MARGIN + LABELS + _place(PUMPED_A_DAY)
    line = f'<line x1="{x:.1f}" y1="{MARGIN + HEADING + 8}" x2="{x:.1f}" y2="{bottom - GAP:.0f}" stroke="{LINE}" '
    label = f'<text x="{x:.0f}" y="{bottom:.0f}" fill="{LINE}" text-anchor="middle">aim: {PUMPED_A_DAY} a day</text>'
    return f'{line}stroke-dasharray="4 3"/>{label}'


def _text(x: float, y: float, words: str, *, bold: bool = False, end: bool = False) -> str:
    kind, anchor = ' class="row"' if bold else "", ' text-anchor="end"' if end else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{INK}"{kind}{anchor}>{html.escape(words)}</text>'


def _words(rows: Sequence[Row]) -> str:
    """The figures as sentences, for those who do not see the bars."""
    attacks = [row for row in rows if row.shape.attack is not None]
    said = [f"{row.shape.title}, {NAMES[row.defence]}: {row.pumped.text()}." for row in attacks]
    return f"Means over all seeds with intervals of 95 %, on a logarithmic scale. {' '.join(said)}"


def _page(parts: Sequence[str], words: str, height: float) -> str:
    width = MARGIN * 2 + LABELS + BARS + FIGURE
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" role="img" '
        'aria-labelledby="title about">',
        f'<title id="title">{html.escape(TITLE)}</title>',
        f'<desc id="about">{html.escape(words)}</desc>',
        "<style>text { font: 13px system-ui, sans-serif; stroke: #ffffff; stroke-width: 4px; paint-order: stroke; } "
        ".row { font-weight: 600; }</style>",
        f'<rect width="{width}" height="{height:.0f}" rx="10" fill="#ffffff"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
