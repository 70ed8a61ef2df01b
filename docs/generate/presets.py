"""The presets page: every definition that ships, and what it was written from."""

from __future__ import annotations

from daemon.providers.catalog import Catalog
from docs.generate.markdown import page, table

INTRODUCTION = """
Every provider definition that ships; `pollhook provider list --presets` prints the same, and
`pollhook provider show NAME --definition` the whole file. Yours is missing? [Add a provider](../providers/README.md).

*Evidence* says where a definition's facts were read: `documented` is the provider's own page, `sdk` or `code` its programs,
`third-party` somebody else's, `unverified` a likeness to another API that nobody has confirmed. A definition of your
own stands beside them with the same rights.
"""


def presets_page() -> str:
    """Return the page."""
    catalog = Catalog()
    rows = []
    for name in catalog.names:
        made = catalog.definition(name)
        limits = made.limits
        source = f"[{made.title}]({made.docs})" if made.docs else made.title
        rows.append((f"`{name}`", source, str(made.evidence), f"{limits.rate:g}/s", f"{limits.min_gap:g} s"))
    return page("Presets", INTRODUCTION, table(("preset", "provider", "evidence", "rate", "least gap"), rows))
