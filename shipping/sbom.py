"""What the daemon is made of, as CycloneDX 1.6 JSON: ``python -m shipping.sbom FILE``.

The components are the packages that ``pip install pollhook[fast,otel]`` brings, as they stand in this environment, each
held to the hashes of ``requirements.lock``; what develops and documents Pollhook is left out. Made from the metadata
that pip installed, so that nothing is needed to make it; the same environment makes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from daemon import __version__
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SHIPPED = ("fast", "otel")
LOCK = Path(__file__).parents[1] / "requirements.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def document() -> dict[str, Any]:
    """Return the bill of materials."""
    found = dict(sorted(_needed("pollhook", SHIPPED)))
    parts = [_component(dist, hashes) for dist, hashes in components()]
    graph = [
        {
            "ref": _ref(dist),
            "dependsOn": [_ref(found[need]) for need in sorted(set(_needs(dist, SHIPPED))) if need in found],
        }
        for dist in found.values()
    ]
    told = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "name": "pollhook", "version": __version__, "bom-ref": _ref(found["pollhook"]),
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
            "tools": {"components": [{"type": "application", "name": "shipping.sbom", "version": __version__}]},
        },
        "components": parts,
        "dependencies": graph,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()
    return told | {"serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"}


def components() -> list[tuple[Distribution, tuple[str, ...]]]:
    """Return every package that is shipped beside our own, by name, with the sha256 of each file the lock allows."""
    pins = pinned()
    found = sorted(_needed("pollhook", SHIPPED))
    return [(dist, pins.get(name, (None, ()))[1]) for name, dist in found if name != "pollhook"]


def pinned(lock: Path = LOCK) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what the lock file pins, by canonical name: the version and the sha256 of every file of it."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for block in re.split(r"\n(?=\S)", lock.read_text()):
        if match := _PINNED.match(block):
            found[canonicalize_name(match[1])] = (match[2], tuple(_HASH.findall(block)))
    return found


def strays() -> list[str]:
    """Return what is shipped and not pinned with hashes, or installed in another version than the pinned one."""
    pins, found = pinned(), []
    for name, dist in sorted(_needed("pollhook", SHIPPED)):
        version, hashes = pins.get(name, (None, ()))
        if name != "pollhook" and (not hashes or version != dist.version):
            found.append(f"{name} {dist.version}: the lock says {version} with {len(hashes)} hashes")
    return found


def _needed(name: str, extras: tuple[str, ...]) -> Iterator[tuple[str, Distribution]]:
    """Return *name* and all that it needs, installed, each once."""
    seen, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            continue
        yield name, dist
        waiting += _needs(dist, extras)


def _needs(dist: Distribution, extras: tuple[str, ...]) -> Iterator[str]:
    """Return the names that *dist* requires here, with our own *extras*."""
    wanted = extras if canonicalize_name(dist.name) == "pollhook" else ()
    for text in dist.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
            yield canonicalize_name(requirement.name)


def _component(dist: Distribution, hashes: tuple[str, ...]) -> dict[str, Any]:
    name = canonicalize_name(dist.name)
    said = dist.metadata.get("License-Expression") or dist.metadata.get("License") or ""
    found: dict[str, Any] = {
        "type": "library", "name": name, "version": dist.version, "bom-ref": _ref(dist),
        "purl": f"pkg:pypi/{name}@{dist.version}", "scope": "required",
        "description": dist.metadata.get("Summary", ""),
        "properties": [{"name": "pollhook:lock:sha256", "value": digest} for digest in hashes],
    }  # fmt: skip
    if said and "\n" not in said:
        found["licenses"] = [{"license": {"name": said}}]
    return found


def _ref(dist: Distribution) -> str:
    return f"pkg:pypi/{canonicalize_name(dist.name)}@{dist.version}"


def main() -> int:
    """Write the file named on the command line; return 1 where something shipped is not pinned."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    told = document()
    path.write_text(json.dumps(told, indent=1) + "\n")
    unpinned = strays()
    sys.stdout.write(f"{path}: {len(told['components'])} components, {len(unpinned)} not pinned with hashes\n")
    sys.stdout.writelines(f"  {stray}\n" for stray in unpinned)
    return 1 if unpinned else 0


if __name__ == "__main__":
    sys.exit(main())
