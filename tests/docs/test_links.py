"""Every link of every page of the repository leads somewhere, and the tests that the guarantees name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "systemd/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of *page*: of its headings, as GitHub and MyST make them, and those it names itself."""
    text = page.read_text(encoding="utf-8")
    bare = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"^\(([\w-]+)\)=$", bare, re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", bare, re.MULTILINE)
    return {*named, *(re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings)}


def dead(page: Path) -> list[str]:
    found = []
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_dead_link(page):
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "there.md").write_text("# Some Place\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text("[a](there.md#some-place) [b](there.md#other) [c](gone.md) `[d](code.md)`\n", encoding="utf-8")

    assert dead(page) == ["there.md#other", "gone.md"]


def test_every_test_that_a_guarantee_names_is_there():
    page = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+/(?:test_[a-z_0-9]+\.py)?)`", page))
    tests = {name for name in named if not (ROOT / "daemon" / name).exists()} | {
        name for name in named if name.endswith("/")
    }

    assert len(tests) > 15
    assert [name for name in sorted(tests) if not (ROOT / "tests" / name).exists()] == []


def test_every_page_is_reached_from_the_index():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    listed = {line.strip() for line in index.splitlines()}
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in PAGES if ROOT / "docs" in page.parents}

    assert sorted(pages - listed - {"index"}) == []
