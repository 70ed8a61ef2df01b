"""Text as TOML writes it; only what a draft needs, since the standard library reads TOML and does not write it."""

from __future__ import annotations

import json
import re


def basic(text: str) -> str:
    """Return *text* as a basic string, which JSON's escapes suit but for the delete character and surrogates."""
    plain = re.sub("[\x7f\ud800-\udfff]", "?", text)
    return json.dumps(plain, ensure_ascii=False)


def literal(text: str) -> str:
    """Return printable ASCII *text* as a literal string of many lines, or as a basic one where it cannot be."""
    return f"'''{text}'''" if "'''" not in text and not text.endswith("'") else basic(text)
