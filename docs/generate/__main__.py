"""Write every generated page (``make docs-pages``)."""

from __future__ import annotations

from docs.generate.pages import DOCS, pages


def main() -> None:
    """Write each page, and say which ones changed."""
    for name, text in pages().items():
        file = DOCS / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"written: docs/{name}")


main()
