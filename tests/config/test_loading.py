from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import ConfigError, Settings, load
from daemon.config.loading import config_file, default_store_path

SOURCES = ["overrides", "env", "credentials", "file"]


@pytest.mark.parametrize("highest", range(5))
def test_the_higher_source_overrules_the_lower(read, highest):
    given = set(SOURCES[highest:])

    settings = read(
        "[polling]\nprice = 4.0\n" if "file" in given else "",
        env={"POLLHOOK_POLLING__PRICE": "2.0"} if "env" in given else None,
        credentials={"polling__price": "3.0\n"} if "credentials" in given else None,
        overrides={"polling.price": 1.0} if "overrides" in given else None,
    )

    assert settings.polling.price == [1.0, 2.0, 3.0, 4.0, 0.15][highest]


def test_sources_are_merged_table_by_table(read):
    settings = read(
        '[providers.amux]\nrate = 3.0\napi_key = "of the file"\n[polling]\nmax_tasks = 7\n',
        env={"POLLHOOK_POLLING__PRICE": "0.5"},
        credentials={"providers__amux__api_key": "of the credential\n"},
    )

    assert settings.providers == {"amux": {"rate": 3.0, "api_key": "of the credential"}}
    assert (settings.polling.max_tasks, settings.polling.price) == (7, 0.5)


@pytest.mark.parametrize("key", ["12345", "1e5", "true", "null", '["a"]', '{"a": 1}', "a,b", " spaced "])
@pytest.mark.parametrize("source", ["env", "credentials"])
def test_a_key_stays_the_very_text_it_is(read, key, source):
    name = "POLLHOOK_PROVIDERS__AMUX__API_KEY" if source == "env" else "providers__amux__api_key"

    settings = read(**{source: {name: key}})

    assert settings.providers["amux"]["api_key"] == key


@pytest.mark.parametrize("text", ['["127.0.0.1:1", "unix:/run/x.sock"]', "127.0.0.1:1, unix:/run/x.sock"])
def test_a_list_in_the_environment_is_json_or_words_with_commas(read, text):
    assert read(env={"POLLHOOK_SERVER__LISTEN": text}).server.listen == ("127.0.0.1:1", "unix:/run/x.sock")


def test_a_whole_table_in_the_environment_is_json(read):
    settings = read(env={"POLLHOOK_ENDPOINTS__DEFAULT": '{"url": "https://a.example/", "headers": {"X-A": "b"}}'})

    assert settings.endpoints["default"].headers["X-A"].get_secret_value() == "b"


def test_what_others_put_in_the_environment_is_left_alone(read):
    others = {
        "POLLHOOK_TOKEN": "t",
        "POLLHOOK_URL": "u",
        "POLLHOOK_SERVER": "127.0.0.1:1",
        "POLLHOOK_SECRET": "whsec_x",
    }
    others |= {"POLLHOOK_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"}
    ports = {"POLLHOOK_PORT": "tcp://10.0.0.1:8710", "POLLHOOK_PORT_8710_TCP_ADDR": "10.0.0.1"}

    assert read(env={**others, **ports}).polling == Settings().polling


@pytest.mark.parametrize(
    "name", ["tls", "tls__cert", "tls.der", "TLS__KEY", "providersx__a", ".hidden", "PROVIDERS__AMUX"]
)
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00\x80", b"x" * (5 * 1024 * 1024), b"text"], ids=["binary", "big", "text"]
)
def test_credentials_of_others_are_left_unread(read, tmp_path, name, content):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / name).write_bytes(content)

    settings = read(credentials={"polling__price": "3.0"})

    assert settings.polling.price == 3.0


def test_a_credential_of_ours_that_is_no_text_is_told(complaints, tmp_path):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "providers__amux__api_key").write_bytes(b"\xff\xfe")

    (found,) = complaints(credentials={})

    assert "providers__amux__api_key: is not UTF-8 text" in found


def test_the_real_environment_is_never_read(read, monkeypatch):
    monkeypatch.setenv("POLLHOOK_POLLING__PRICE", "9")

    assert read().polling.price == 0.15
    assert Settings().polling.price == 0.15


def test_loading_twice_gives_equal_frozen_settings(read):
    first, second = read("[polling]\nprice = 1\n"), read("[polling]\nprice = 1\n")

    assert first == second != read()
    with pytest.raises(ValueError, match="frozen"):
        first.polling.price = 3.0


def test_the_file_is_the_named_one_else_the_variable_s_else_the_system_s(tmp_path):
    named, variable, system = (tmp_path / name for name in ("named", "variable", "system"))
    for file in (named, variable, system):
        file.touch()
    environ = {"POLLHOOK_CONFIG": str(variable)}

    assert config_file(named, environ, system) == named
    assert config_file(None, environ, system) == variable
    assert config_file(None, {}, system) == system
    assert config_file(None, {}, tmp_path / "absent") is None


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_named_file_that_is_missing_is_an_error(tmp_path, by_variable):
    absent = tmp_path / "absent.toml"
    environ = {"POLLHOOK_CONFIG": str(absent)} if by_variable else {}

    with pytest.raises(ConfigError, match=r"absent\.toml: no such file, named by (\$POLLHOOK_CONFIG|--config)"):
        load(None if by_variable else absent, {}, environ)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"STATE_DIRECTORY": "/s", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/s/pollhook.db"),
        ({"STATE_DIRECTORY": "/s:/t"}, "/s/pollhook.db"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/pollhook/pollhook.db"),
        ({"HOME": "/h"}, "/h/.local/state/pollhook/pollhook.db"),
    ],
)
def test_the_database_stands_in_the_state_directory(environ, path):
    assert default_store_path(environ) == Path(path)


def test_the_state_directory_is_overruled_by_the_file(read, tmp_path):
    assert read(env={"STATE_DIRECTORY": "/s"}).store.path == Path("/s/pollhook.db")
    assert read('[store]\npath = "/mine.db"', env={"STATE_DIRECTORY": "/s"}).store.path == Path("/mine.db")


def test_options_that_were_not_given_overrule_nothing(read):
    assert read("[polling]\nprice = 2\n", overrides={"polling.price": None}).polling.price == 2


def test_the_credential_that_seals_the_store_is_no_setting(tmp_path):
    (tmp_path / "store_key").write_bytes(b"\xff" * 32)

    assert load(None, {}, {"CREDENTIALS_DIRECTORY": str(tmp_path), "HOME": str(tmp_path)}).endpoints == {}
