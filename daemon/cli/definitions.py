"""Provider definitions as files: where one is written, and whether one that is being written holds."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from daemon.cli.complaint import Complaint, misuse
from daemon.cli.settings import read_settings
from daemon.providers.catalog import load
from daemon.providers.check import check_examples
from daemon.providers.definition import Definition
from daemon.providers.mistakes import DefinitionError


def checked(file: Path) -> Definition:
    """Return the definition in *file*; complain of what is wrong with it (exit 2) or with its examples (exit 1)."""
    try:
        definition = load(file)
    except DefinitionError as error:
        raise misuse("the definition cannot be used", *str(error).splitlines()) from None
    wrong = check_examples(definition)
    if wrong:
        raise Complaint(f"{file}: the definition and its examples do not agree", *wrong)
    return definition


def text_of(name: str, config: Path | None) -> str:
    """Return the TOML of the definition that the lane or preset *name* is made of."""
    settings = read_settings(config)
    preset = settings.providers.get(name, {}).get("preset", name)
    try:
        for path in sorted(settings.providers_dir.glob("*.toml")) if settings.providers_dir else ():
            if load(path).name == preset:
                return path.read_text("utf-8")
    except (DefinitionError, OSError) as error:
        raise misuse("the definitions cannot be read", *str(error).splitlines()) from None
    presets = {
        entry.name.removesuffix(".toml"): entry for entry in files("daemon.providers").joinpath("presets").iterdir()
    }
    if preset not in presets:
        known = ", ".join(sorted(presets))
        raise misuse(f'"{preset}" is written neither in a preset nor in providers_dir; presets are: {known}')
    return presets[str(preset)].read_text("utf-8")
