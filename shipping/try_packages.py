"""Build the wheel and the sdist, install each as people do, and run it from an empty folder: ``make test-package``.

Nothing of this repository can be reached from there: another folder, another home, another environment. Dependencies
come from the package index by the installer's own means. pipx and uv are the machine's own, or those that ``make
test-package`` puts into ``build/installers``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = "demo,fast"
PRESETS = 50
PATH = f"{os.environ['PATH']}:{ROOT / 'build/installers/bin'}"
LOOK = """
import pathlib, sys, daemon
from importlib.metadata import files, version
home = pathlib.Path(daemon.__file__).resolve()
assert home.is_relative_to(pathlib.Path(sys.prefix).resolve()), f"{home} is not of this environment"
shipped = {path.name for path in (home.parent / "shipped").iterdir()}
assert shipped >= {"pollhook.service", "pollhook.socket", "config.example.toml"}, shipped
share = pathlib.Path(sys.prefix) / "share"
assert (share / "man/man1/pollhook.1").is_file(), "no manual page"
assert (share / "doc/pollhook/backup.md").is_file(), "no documentation"
tops = {str(path).split("/")[0] for path in files("pollhook") or ()}
strangers = {top for top in tops if top not in {"daemon", "..", f"pollhook-{version('pollhook')}.dist-info"}}
assert not strangers, f"installed beside the package: {strangers}"
print("all of it is there")
"""
Installer = Callable[[Path, Path, Mapping[str, str]], Path]


def main(words: Sequence[str]) -> int:
    """Try every package with every installer that is here (or those named); return the exit status."""
    with tempfile.TemporaryDirectory(prefix="pollhook-package-") as name:
        folder = Path(name)
        wheel, sdist = built(folder / "dist")
        trials = [("pip", by_pip, wheel), ("pip", by_pip, sdist), ("pipx", by_pipx, wheel), ("uv", by_uv, wheel)]
        for number, (installer, install, package) in enumerate(trials):
            if words and installer not in words:
                continue
            if installer != "pip" and shutil.which(installer, path=PATH) is None:
                print(f"NOT TRIED: {installer} is not installed", flush=True)
                continue
            own = folder / str(number)
            began = time.monotonic()
            environ = isolated(own)
            python = install(package, own, environ)
            use(python, own / "empty", environ)
            print(f"{installer}: {package.name} installs and runs ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


def built(target: Path) -> tuple[Path, Path]:
    """Build both packages; return the wheel, itself built from the sdist, and the sdist."""
    run([sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(target)], ROOT, os.environ)
    [sdist] = target.glob("*.tar.gz")
    shutil.unpack_archive(sdist, target / "source")  # our own; Python 3.11.2 knows no filter
    [source] = (target / "source").iterdir()
    run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)],
        source,
        os.environ,
    )
    [wheel] = target.glob("*.whl")
    return wheel, sdist


def isolated(own: Path) -> dict[str, str]:
    """Return an environment whose home is *own* and which knows nothing of this repository."""
    (own / "empty").mkdir(parents=True)
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("POLLHOOK_", "PYTHON", "VIRTUAL_ENV"))
    }
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    homes = {"HOME": str(own), "XDG_STATE_HOME": str(own / "state"), "XDG_CACHE_HOME": cache}
    tools = {"PIPX_HOME": str(own / "pipx"), "PIPX_BIN_DIR": str(own / "bin"), "UV_TOOL_DIR": str(own / "uv"),
             "UV_TOOL_BIN_DIR": str(own / "bin"), "UV_SYSTEM_CERTS": "1",
             "PATH": PATH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # fmt: skip
    return kept | homes | tools


def by_pip(package: Path, own: Path, environ: Mapping[str, str]) -> Path:
    """Install by pip into a fresh environment; return its Python."""
    run([sys.executable, "-m", "venv", str(own / "venv")], own, environ)
    python = own / "venv" / "bin" / "python"
    run([str(python), "-m", "pip", "--quiet", "install", f"{package}[{EXTRAS}]"], own, environ)
    return python


def by_pipx(package: Path, own: Path, environ: Mapping[str, str]) -> Path:
    """Install by pipx; return the Python of its environment."""
    run(["pipx", "install", "--quiet", "--python", sys.executable, f"{package}[{EXTRAS}]"], own, environ)
    return own / "pipx" / "venvs" / "pollhook" / "bin" / "python"


def by_uv(package: Path, own: Path, environ: Mapping[str, str]) -> Path:
    """Install by uv tool; return the Python of its environment."""
    command = [
        "uv",
        "tool",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        f"pollhook[{EXTRAS}] @ {package.as_uri()}",
    ]
    run(command, own, environ)
    return own / "uv" / "pollhook" / "bin" / "python"


def use(python: Path, empty: Path, environ: Mapping[str, str]) -> None:
    """Run what a newcomer runs first, from the *empty* folder."""
    pollhook = str(python.with_name("pollhook"))
    run([str(python), "-c", LOOK], empty, environ)
    assert run([pollhook, "--version"], empty, environ).startswith("pollhook ")
    assert "good" in run([pollhook, "config", "check"], empty, environ)
    presets = run([pollhook, "provider", "list", "--presets", "--json"], empty, environ).splitlines()
    assert len(presets) >= PRESETS, f"{len(presets)} presets"
    assert "complete" in run([pollhook, "completion", "bash"], empty, environ)
    run([pollhook, "doctor", "--offline"], empty, environ)
    assert "verified" in run([pollhook, "demo", "--tasks", "10"], empty, environ)
    assert not list(empty.iterdir()), "it left files in the folder it was run from"


def run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Run *command* to a good end and return what it printed; end the trial otherwise."""
    ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {ran.returncode}:\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
