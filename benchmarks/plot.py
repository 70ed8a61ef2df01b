"""A picture of delay over polls as an SVG, written by hand so that no library is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

from benchmarks.laws import Outcome

PANEL, MARGIN, LEGEND = 300, 50, 46
COLOURS = ("#111111", "#b0b0b0", "#0a7d5a", "#c4452d", "#3564b8", "#9a57b5")
POLLS, DELAY = (1.0, 40.0), (1.0, 40.0)
TICKS = (1, 2, 5, 10, 20, 40)


@dataclass(frozen=True, slots=True)
class Frontier:
    """One law's panel: lines of outcomes by name, and single outcomes by name."""

    title: str
    lines: Mapping[str, Sequence[Outcome]]
    points: Mapping[str, Outcome]


def draw(frontiers: Sequence[Frontier]) -> str:
    """Return the panels side by side, polls per task across, mean delay upward, both logarithmic."""
    step = PANEL + MARGIN
    width, height = MARGIN + len(frontiers) * step, PANEL + 2 * MARGIN + LEGEND
    size = f'width="{width}" height="{height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">']
    parts.append('<rect width="100%" height="100%" fill="white"/>')
    for n, frontier in enumerate(frontiers):
        parts.append(f'<g transform="translate({MARGIN + n * step},{MARGIN})">{_panel(frontier)}</g>')
    names = [*frontiers[0].lines, *frontiers[0].points]
    for n, name in enumerate(names):
        x, y = MARGIN + n * 190, height - 16
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[n]}"/><text x="{x + 9}" y="{y}">')
        parts.append(f"{escape(name)}</text>")
    return "".join([*parts, "</svg>\n"])


def _panel(frontier: Frontier) -> str:
    parts = [f'<text x="0" y="-10" font-size="14">{escape(frontier.title)}</text>']
    parts.append(f'<rect width="{PANEL}" height="{PANEL}" fill="none" stroke="#888"/>')
    for tick in TICKS:
        x, y = _place(tick, POLLS), PANEL - _place(tick, DELAY)
        parts.append(f'<path d="M{x:.1f} 0V{PANEL}M0 {y:.1f}H{PANEL}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{PANEL + 14}" text-anchor="middle">{tick}</text>')
        parts.append(f'<text x="-5" y="{y + 4:.1f}" text-anchor="end">{tick}</text>')
    parts.append(f'<text x="{PANEL / 2}" y="{PANEL + 30}" text-anchor="middle">polls per task</text>')
    parts.append(f'<text transform="translate(-28,{PANEL / 2}) rotate(-90)" text-anchor="middle">mean delay, s</text>')
    for n, line in enumerate(frontier.lines.values()):
        spots = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_spot, line) if 0 <= x <= PANEL and 0 <= y <= PANEL)
        parts.append(f'<polyline points="{spots}" fill="none" stroke="{COLOURS[n]}" stroke-width="2"/>')
    for n, point in enumerate(frontier.points.values(), len(frontier.lines)):
        x, y = _spot(point)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[n]}"/>')
    return "".join(parts)


def _spot(outcome: Outcome) -> tuple[float, float]:
    return _place(outcome.polls, POLLS), PANEL - _place(outcome.delay, DELAY)


def _place(value: float, span: tuple[float, float]) -> float:
    return PANEL * log10(value / span[0]) / log10(span[1] / span[0])
