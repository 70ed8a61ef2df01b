"""How the documentation is built: ``make docs``. Whatever does not resolve fails the build."""

from __future__ import annotations

from daemon import __version__

project = "Pollhook"
version = release = __version__
copyright = "the Pollhook authors, Apache-2.0"  # noqa: A001 (Sphinx reads this name)
extensions = ["myst_parser"]
root_doc = "index"
exclude_patterns = ["generate", "providers/examples"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "attrs_inline"]
nitpicky = True
html_theme = "furo"
html_title = f"Pollhook {version}"
html_copy_source = False
html_show_sphinx = False
