"""Pictures as SVG, written by hand so that no library is needed: panels side by side, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from typing import TypeAlias

PANEL, MARGIN, LEGEND = 300, 50, 46
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
    """Return the panels side by side."""
    step = PANEL + MARGIN
    width, height = MARGIN + len(panels) * step, PANEL + 2 * MARGIN + LEGEND
    size = f'width="{width}" height="{height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">']
    parts.append('<rect width="100%" height="100%" fill="white"/>')
    for n, panel in enumerate(panels):
        parts.append(f'<g transform="translate({MARGIN + n * step},{MARGIN})">{_panel(panel, across, upward)}</g>')
    names = [*panels[0].lines, *panels[0].points]
    for n, name in enumerate(names):
        x, y = MARGIN + n * 190, height - 16
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[n]}"/><text x="{x + 9}" y="{y}">')
        parts.append(f"{escape(name)}</text>")
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
