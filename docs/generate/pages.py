"""Which pages are generated, and by what."""

from __future__ import annotations

from pathlib import Path

from docs.generate.api import api_page
from docs.generate.logs import log_page
from docs.generate.metrics import metrics_page
from docs.generate.presets import presets_page
from docs.generate.problems import problems_page
from docs.generate.settings import settings_page

DOCS = Path(__file__).parents[1]


def pages() -> dict[str, str]:
    """Return the text of every generated page by its place below ``docs/``."""
    return {
        "reference/api.md": api_page(),
        "reference/config.md": settings_page(),
        "reference/errors.md": problems_page(),
        "reference/logs.md": log_page(),
        "reference/metrics.md": metrics_page(),
        "reference/presets.md": presets_page(),
    }
