"""Provider definitions as files: where one is written, and whether one that is being written holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from daemon.cli.complaint import Exit, misuse
from daemon.cli.say import Object
from daemon.cli.settings import read_settings
from daemon.config import located
from daemon.providers.catalog import load
from daemon.providers.check import misread
from daemon.providers.definition import Definition
from daemon.providers.doubts import doubts
from daemon.providers.mistakes import DefinitionError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: faults (the examples, unless it is no definition at all), and warnings; all with a place."""

    file: Path
    definition: Definition | None
    faults: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Exit:
        """The exit status this amounts to."""
        if self.definition is None:
            return Exit.USAGE
        return Exit.FAILED if self.faults else Exit.DONE

    @property
    def told(self) -> Object:
        """The verdict as JSON."""
        found = self.definition
        return {
            "file": str(self.file),
            "ok": not self.faults,
            "definition": found.name if found else None,
            "examples": len(found.examples) if found else 0,
            "faults": list(self.faults),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


def verdict_on(file: Path) -> Verdict:
    """Check the definition in *file*: does it load, are its examples read as they say, what looks wrong."""
    try:
        definition = load(file)
    except DefinitionError as error:
        return Verdict(file, None, tuple(located(error.faults, None)))
    wrong = [(text, ("examples", str(place))) for place, text in misread(definition)]
    found = doubts(definition)
    warnings, notes = ([(each.text, each.path) for each in found if each.is_note is kind] for kind in (False, True))
    return Verdict(file, definition, _at(file, wrong), _at(file, warnings), _at(file, notes))


def _at(file: Path, found: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    return tuple(located([(f"{file}: {text}", path) for text, path in found], None))


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
