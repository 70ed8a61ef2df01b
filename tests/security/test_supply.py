"""What the daemon is made of: pinned with hashes, told as CycloneDX, reproducible."""

from __future__ import annotations

import re
from pathlib import Path

from shipping import sbom

LOCK = Path(__file__).parents[2] / "requirements.lock"


def test_all_that_is_shipped_is_pinned_with_hashes_and_installed_as_pinned():
    assert sbom.strays() == []


def test_every_line_of_the_lock_pins_one_version_with_a_sha256_of_each_file():
    blocks = [block for block in re.split(r"\n(?=\S)", LOCK.read_text()) if block.strip() and not block.startswith("#")]

    assert len(sbom.pinned()) == len(blocks)
    assert all(version and hashes for version, hashes in sbom.pinned().values())


def test_the_lock_names_no_other_index_and_no_url():
    assert not re.search(r"https?://|--index|--extra-index|--find-links|--trusted-host", LOCK.read_text())


def test_a_package_that_is_not_pinned_is_told(monkeypatch):
    pins = sbom.pinned()
    monkeypatch.setattr(
        sbom, "pinned", lambda: pins | {"aiohttp": ("0.0.1", ("00",)), "jmespath": (pins["jmespath"][0], ())}
    )

    assert [line.split()[0] for line in sbom.strays()] == ["aiohttp", "jmespath"]


def test_the_bill_of_materials_names_each_part_once_with_its_hashes_and_what_needs_it():
    told = sbom.document()
    names = [one["name"] for one in told["components"]]
    refs = {one["bom-ref"] for one in told["components"]} | {told["metadata"]["component"]["bom-ref"]}

    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert {"aiohttp", "aiosqlite", "cryptography", "pydantic", "uvloop", "multidict"} <= set(names)
    assert not {"pytest", "ruff", "mypy", "hypothesis", "sphinx"} & set(names)
    assert len(set(names)) == len(names)
    assert all(one["properties"] and one["purl"].startswith("pkg:pypi/") for one in told["components"])
    assert {need for node in told["dependencies"] for need in [node["ref"], *node["dependsOn"]]} == refs


def test_the_same_environment_makes_the_same_document():
    assert sbom.document() == sbom.document()
