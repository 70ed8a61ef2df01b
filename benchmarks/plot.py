"""Pictures as SVG, written by hand so that no library is needed: panels in rows, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from typing import TypeAlias

PANEL, MARGIN, LINE, ACROSS = 300, 50, 20, 3
COLOURS = ("#111111", "#b0b0b0", "#0a7d5a", "#c4452d", "#3564b8", "#9a57b5")
Spot: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What is drawn along one side: its name and unit, its ticks, from the first to the last of them."""

    name: str
    ticks: Sequence[float]

    def place(self, value: float) -> float:
        """Return where *value* lies, 0 to ``PANEL``."""
        low, high = self.ticks[0], self.ticks[-1]
        return PANEL * log10(max(value, low / 2) / low) / log10(high / low)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: lines by name, and single points by name; every panel of a picture has the same names."""

    title: str
    lines: Mapping[str, Sequence[Spot]]
    points: Mapping[str, Spot]


def draw(panels: Sequence[Panel], across: Axis, upward: Axis) -> str:
    """Return the panels in rows of three, what the colours mean below."""
    names = [*panels[0].lines, *panels[0].points]
    rows = -(-len(panels) // ACROSS)
    width, foot = MARGIN + min(len(panels), ACROSS) * (PANEL + MARGIN), rows * (PANEL + 2 * MARGIN)
    size = f'width="{width}" height="{foot + len(names) * LINE + MARGIN // 2}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">']
    parts.append('<rect width="100%" height="100%" fill="white"/>')
    for n, panel in enumerate(panels):
        x, y = MARGIN + n % ACROSS * (PANEL + MARGIN), MARGIN + n // ACROSS * (PANEL + 2 * MARGIN)
        parts.append(f'<g transform="translate({x},{y})">{_panel(panel, across, upward)}</g>')
    for n, name in enumerate(names):
        y = foot + n * LINE
        parts.append(f'<circle cx="{MARGIN + 5}" cy="{y}" r="5" fill="{COLOURS[n]}"/>')
        parts.append(f'<text x="{MARGIN + 18}" y="{y + 4}" font-size="13">{escape(name)}</text>')
    return "".join([*parts, "</svg>\n"])


def _panel(panel: Panel, across: Axis, upward: Axis) -> str:
    parts = [f'<text x="0" y="-10" font-size="14">{escape(panel.title)}</text>']
    parts.append(f'<rect width="{PANEL}" height="{PANEL}" fill="none" stroke="#888"/>')
    for tick in across.ticks:
        x = across.place(tick)
        parts.append(f'<path d="M{x:.1f} 0V{PANEL}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{PANEL + 14}" text-anchor="middle">{tick:g}</text>')
    for tick in upward.ticks:
        y = PANEL - upward.place(tick)
        parts.append(f'<path d="M0 {y:.1f}H{PANEL}" stroke="#eee"/>')
        parts.append(f'<text x="-5" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<text x="{PANEL / 2}" y="{PANEL + 30}" text-anchor="middle">{escape(across.name)}</text>')
    turned = f"translate(-32,{PANEL / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(upward.name)}</text>')
    for n, line in enumerate(panel.lines.values()):
        placed = [(across.place(x), PANEL - upward.place(y)) for x, y in line]
        spots = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed if 0 <= x <= PANEL and 0 <= y <= PANEL)
        parts.append(f'<polyline points="{spots}" fill="none" stroke="{COLOURS[n]}" stroke-width="2"/>')
    for n, (x, y) in enumerate(panel.points.values(), len(panel.lines)):
        cx, cy = across.place(x), PANEL - upward.place(y)
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5" fill="{COLOURS[n]}"/>')
    return "".join(parts)
