"""A package for the Debian it is made on: ``make deb`` writes ``dist/pollhook_VERSION_ARCH.deb``.

It holds ``/opt/pollhook`` as pip would make it there from ``requirements.lock``, every file held to its hash, with the
units, the manual page and a configuration. Such a folder is of one Python, so the package asks for that one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon import __version__

from shipping.sbom import components

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build/deb"
HOME = Path("opt/pollhook")
SCRIPTS = ROOT / "shipping/deb"
NEEDED = {"dpkg-deb": "dpkg", "dpkg": "dpkg"}
CONTROL = """\
Package: pollhook
Version: {version}
Architecture: {architecture}
Maintainer: Pollhook maintainers <maintainers@pollhook.invalid>
Section: net
Priority: optional
Installed-Size: {size}
Depends: python3 (>= {python}), python3 (<< {next}), systemd (>= 250)
Description: webhooks for APIs that only poll
 One daemon watches slow generation tasks at their providers and POSTs a signed
 webhook the moment each ends. Tasks are registered over local HTTP.
"""


def main() -> int:
    """Build the package and name it; return the exit status."""
    python = os.environ.get("PYTHON") or "/usr/bin/python3"
    missing = [package for command, package in NEEDED.items() if shutil.which(command) is None]
    if missing or _fails([python, "-c", "import venv, ensurepip"]):
        print(f"make deb: it needs {python} with venv, and dpkg: apt-get install python3-venv dpkg", file=sys.stderr)
        return 1
    shutil.rmtree(BUILD, ignore_errors=True)
    tree = BUILD / "root"
    lay_home(python, tree / HOME)
    lay_rest(tree)
    target = pack(python, tree)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 2**20:.1f} MiB")
    return 0


def lay_home(python: str, home: Path) -> None:
    """Make ``/opt/pollhook`` below the tree: an environment of Debian's own Python with what the lock pins."""
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(BUILD))
    (wheel,) = BUILD.glob("*.whl")
    pins = BUILD / "pins.txt"
    ours = ("pollhook", __version__, [f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"])
    pins.write_text("".join(f"{name}=={version} {' '.join(hashes)}\n" for name, version, hashes in [*_pins(), ours]))
    _run(python, "-m", "venv", str(BUILD / "maker"))
    _run(python, "-m", "venv", "--without-pip", str(home))
    pip = (str(BUILD / "maker/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
    into = ("--python", str(home / "bin/python3"), "install", "--no-deps", "--no-compile", "--only-binary=:all:")
    _run(*pip, *into, "--find-links", str(BUILD), "--require-hashes", "--requirement", str(pins))
    _say_its_place(home)
    _run(python, "-m", "compileall", "-q", "-s", str(home.parents[1]), "-p", "/", str(home / "lib"))


def _say_its_place(home: Path) -> None:
    """Have every file say ``/opt/pollhook``, and none the folder of the build, not even by a script's digest."""
    for script in [*(home / "bin").iterdir(), home / "pyvenv.cfg"]:
        if not script.is_symlink() and str(home) in (text := script.read_text(errors="replace")):
            script.write_text(text.replace(str(home), f"/{HOME}"))
    for record in home.glob("lib/*/site-packages/*.dist-info/RECORD"):
        record.write_text(re.sub(r"(?m)^(\.\./\.\./\.\./bin/[^,]+),.*$", r"\1,,", record.read_text()))


def lay_rest(tree: Path) -> None:
    """Lay down what stands outside of it: units, configuration, command, manual page, documentation."""
    copies = {
        "systemd/pollhook.service": "usr/lib/systemd/system/pollhook.service",
        "systemd/pollhook.socket": "usr/lib/systemd/system/pollhook.socket",
        "config.example.toml": "etc/pollhook/config.toml",
        "LICENSE": "usr/share/doc/pollhook/copyright",
    }
    for source, target in copies.items():
        (tree / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, tree / target)
    man = tree / "usr/share/man/man1/pollhook.1.gz"
    man.parent.mkdir(parents=True)
    man.write_bytes(gzip.compress((ROOT / "shipping/pollhook.1").read_bytes(), mtime=0))
    for link, target in {
        "usr/bin/pollhook": "bin/pollhook",
        "usr/share/doc/pollhook/docs": "share/doc/pollhook",
    }.items():
        (tree / link).parent.mkdir(parents=True, exist_ok=True)
        (tree / link).symlink_to(f"/{HOME}/{target}")


def pack(python: str, tree: Path) -> Path:
    """Write what dpkg wants to know, and the package."""
    minor = int(_said(python, "-c", "import sys; print(sys.version_info.minor)"))
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    architecture = _said("dpkg", "--print-architecture")
    about = tree / "DEBIAN"
    about.mkdir()
    told = {"version": __version__, "architecture": architecture, "size": size // 1024}
    (about / "control").write_text(CONTROL.format(**told, python=f"3.{minor}", next=f"3.{minor + 1}"))
    for script in SCRIPTS.iterdir():
        shutil.copyfile(script, about / script.name)
        (about / script.name).chmod(0o644 if script.name == "conffiles" else 0o755)
    _run("chmod", "-R", "u=rwX,go=rX", str(tree))
    target = ROOT / f"dist/pollhook_{__version__}_{architecture}.deb"
    target.parent.mkdir(exist_ok=True)
    _run("dpkg-deb", "--build", "--root-owner-group", str(tree), str(target))
    return target


def _pins() -> list[tuple[str, str, list[str]]]:
    found = [
        (dist.name, dist.version, [f"--hash=sha256:{digest}" for digest in hashes]) for dist, hashes in components()
    ]
    unpinned = [name for name, _, hashes in found if not hashes]
    assert not unpinned, f"not in requirements.lock: {unpinned}"
    return found


def _run(*command: str) -> None:
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _fails(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode != 0
    except OSError:
        return True


if __name__ == "__main__":
    sys.exit(main())
