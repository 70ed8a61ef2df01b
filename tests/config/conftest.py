from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config import ConfigError, Settings, load

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load settings from a text, an environment, credentials and overrides; the home is a temporary folder."""

    def read(
        text: str = "",
        env: dict[str, str] | None = None,
        credentials: dict[str, str] | None = None,
        overrides: dict[str, object] | None = None,
    ) -> Settings:
        file = tmp_path / "config.toml"
        file.write_text(text, encoding="utf-8")
        environ = {"HOME": str(tmp_path), **(env or {})}
        if credentials is not None:
            folder = tmp_path / "credentials"
            folder.mkdir(exist_ok=True)
            for name, content in credentials.items():
                (folder / name).write_text(content, encoding="utf-8")
            environ["CREDENTIALS_DIRECTORY"] = str(folder)
        return load(file, overrides or {}, environ)

    return read


@pytest.fixture
def complaints(read: Read) -> Callable[..., list[str]]:
    """What is wrong with a text, an environment and so on: one line per problem."""

    def complaints(text: str = "", **sources: object) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text, **sources)
        assert caught.value.exit_code == 2
        assert len(caught.value.problems) == len(str(caught.value).splitlines())
        return str(caught.value).splitlines()

    return complaints
