"""On the service's own machine the command line finds what the service has."""

from __future__ import annotations

from pathlib import Path

from daemon.cli.client import Address
from daemon.cli.settings import listening
from daemon.cli.system import service_environ
from daemon.config import load


def test_the_service_s_credentials_are_seen_by_who_may_read_them(tmp_path, monkeypatch):
    monkeypatch.delenv("POLLHOOK_CONFIG", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "providers__amux__api_key").write_text("a key of amux\n")

    environ = service_environ(None, tmp_path)

    assert environ["CREDENTIALS_DIRECTORY"] == str(tmp_path)
    assert "CREDENTIALS_DIRECTORY" not in service_environ(None, tmp_path / "gone")


def test_another_configuration_gets_no_credentials_of_the_service(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    assert "CREDENTIALS_DIRECTORY" not in service_environ(Path("mine.toml"), tmp_path)
    monkeypatch.setenv("POLLHOOK_CONFIG", "mine.toml")
    assert "CREDENTIALS_DIRECTORY" not in service_environ(None, tmp_path)


def test_a_service_that_says_nothing_of_listen_is_asked_by_the_socket_systemd_made(tmp_path, monkeypatch):
    monkeypatch.delenv("POLLHOOK_CONFIG", raising=False)
    activated = tmp_path / "api.sock"
    activated.touch()
    silent, outspoken = load(None, {}, {}), load(None, {"server": {"listen": ["127.0.0.1:8710"]}}, {})

    assert listening(silent, None, activated) == Address(path=str(activated))
    assert listening(outspoken, None, activated) == Address(host="127.0.0.1", port=8710)
    assert listening(silent, Path("mine.toml"), activated) == Address(host="127.0.0.1", port=8710)
    assert listening(silent, None, tmp_path / "gone") == Address(host="127.0.0.1", port=8710)
