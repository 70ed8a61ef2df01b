"""Read every source, let the higher overrule the lower, validate the whole, and say all that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.config.problems import ConfigError, Problem, problem
from daemon.config.settings import Settings
from daemon.config.sources import Source, from_credentials, from_environment, from_file, from_overrides

SYSTEM_FILE = Path("/etc/pollhook/config.toml")


def load(path: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Return the settings of the command line, environment, credentials, file and defaults, in that precedence.

    *path* is the file that ``--config`` names; without it ``$POLLHOOK_CONFIG`` and then the system's file count.
    *overrides* are dotted paths (``server.listen``) or nested tables. Raises ConfigError with every problem found.
    """
    sources = _sources(path, overrides, environ)
    try:
        return Settings.model_validate(_merged(sources))
    except ValidationError as error:
        found = error.errors(include_url=False)
    origin = _origin_in(sources)
    raise ConfigError([problem(each, origin) for each in found])


def config_file(path: Path | None, environ: Mapping[str, str], system: Path = SYSTEM_FILE) -> Path | None:
    """Return the file to read, None for built-in defaults; a file that was named must exist."""
    named = path if path is not None else environ.get("POLLHOOK_CONFIG")
    if not named:
        return system if system.exists() else None
    if not Path(named).exists():
        source = "--config" if path is not None else "$POLLHOOK_CONFIG"
        raise ConfigError([Problem(path="", where=str(named), message=f"no such file, named by {source}")])
    return Path(named)


def default_store_path(environ: Mapping[str, str]) -> Path:
    """Return where the database stands when nobody says: the service's, the user's or the home's state directory."""
    if state := environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0]) / "pollhook.db"
    if state := environ.get("XDG_STATE_HOME"):
        return Path(state) / "pollhook" / "pollhook.db"
    return Path(environ.get("HOME") or Path.home()) / ".local/state/pollhook/pollhook.db"


def _sources(path: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]) -> list[Source]:
    """Read the sources, highest first; what cannot be read is reported together."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    readers: list[Callable[[], Source | None]] = [
        lambda: from_overrides(overrides),
        lambda: from_environment(environ),
        lambda: from_credentials(Path(credentials)) if credentials else None,
        lambda: None if (named := config_file(path, environ)) is None else from_file(named),
        lambda: Source({"store": {"path": default_store_path(environ)}}, lambda _: "default"),
    ]
    sources: list[Source] = []
    problems: list[Problem] = []
    for read in readers:
        try:
            source = read()
        except ConfigError as error:
            problems += error.problems
        else:
            sources += [source] if source is not None else []
    if problems:
        raise ConfigError(problems)
    return sources


def _merged(sources: Sequence[Source]) -> dict[str, object]:
    """Return one tree, merged by pydantic-settings table by table: the first source that says a thing wins."""

    class Merged(BaseSettings):
        model_config = SettingsConfigDict(extra="allow", case_sensitive=True)

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, source.tree) for source in sources)

    return dict(Merged().model_extra or {})


def _origin_in(sources: Sequence[Source]) -> Callable[[Sequence[str]], str]:
    def origin(path: Sequence[str]) -> str:
        for length in range(len(path), 0, -1):
            for source in sources:
                if source.holds(path[:length]):
                    return source.locate(path)
        return ""

    return origin
