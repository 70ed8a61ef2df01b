"""doctor: what it finds in a good house, what in a bad one, and what it never does."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from aiohttp import web

from daemon import __version__
from daemon.cli.doctor.clock import clock
from daemon.cli.doctor.finding import Severity
from daemon.cli.doctor.unit import judged
from daemon.config import Settings
from daemon.store.store import open_store

GOOD_UNIT = {
    "LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "Type": "notify", "WatchdogUSec": "30s",
    "DynamicUser": "yes", "User": "pollhook", "Restart": "on-failure", "LimitNOFILE": "65536", "NRestarts": "0",
    "NeedDaemonReload": "no", "Result": "success",
}  # fmt: skip


@pytest.fixture
async def provider():
    """A provider that answers what it is told to, and remembers what it was asked."""
    told = SimpleNamespace(status=404, body={"code": "not_found"}, headers={}, asked=[])

    async def answer(request: web.Request) -> web.Response:
        told.asked.append((request.method, request.path, request.headers.get("Authorization")))
        return web.json_response(told.body, status=told.status, headers=told.headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield told
    await runner.cleanup()


@pytest.fixture
async def house(tmp_path, api, provider, shapes):
    """A good house: a private config file and state folder, a provider, an endpoint, a daemon that is well."""
    api.on("GET", "/openapi.json", {"info": {"version": __version__}})
    api.on("GET", "/v1/providers", {"data": [{"name": "amux", "state": "ok", "unknown_words": []}], "next": None})
    api.on("GET", "/v1/endpoints", {"data": [{"name": "default", "state": "ok", "dead": 0}], "next": None})
    await (await open_store(tmp_path / "state" / "p.db")).close()
    file = tmp_path / "config.toml"

    def write(extra: str = "") -> None:
        file.write_text(
            f'[server]\nlisten = ["{api.address}"]\n[store]\npath = "{tmp_path}/state/p.db"\n'
            f'[endpoints.default]\nurl = "{provider.url}"\n'
            f'[providers.modelmax]\napi_key = "sk-very-secret-1"\nbase_url = "{provider.url}"\n{extra}'
        )
        file.chmod(0o600)

    write()
    return SimpleNamespace(config=file, write=write, database=tmp_path / "state" / "p.db", provider=provider, api=api)


@pytest.fixture
def examined(pollhook, house):
    async def examine(*words: str):
        ran = await pollhook("doctor", "--config", str(house.config), "--json", *words)
        assert "sk-very-secret-1" not in ran.out + ran.err
        return ran, {
            severity: [f"{f['area']}: {f['text']}" for f in ran.lines if f["severity"] == severity]
            for severity in Severity
        }

    return examine


async def test_a_good_house_has_no_error_and_exits_0(house, examined):
    ran, found = await examined()

    assert (ran.status, found[Severity.ERROR]) == (0, []), ran.out
    areas = {text.partition(":")[0] for text in found[Severity.OK]}
    assert areas >= {"config", "state", "database", "disk", "lane", "endpoint", "daemon"}
    assert "key accepted (HTTP 404 for a made-up task)" in ran.out


async def test_a_lane_is_asked_once_with_its_key_and_only_for_its_status(house, examined):
    await examined()

    [(method, path, key)] = house.provider.asked
    assert (method, key) == ("GET", "Bearer sk-very-secret-1")
    assert path.startswith("/v1/queue/none/requests/")
    assert path.endswith("/status")


@pytest.mark.parametrize(
    ("status", "severity", "says"),
    [
        (401, Severity.ERROR, "modelmax: the provider refuses the key"),
        (403, Severity.WARNING, "a made-up task is forbidden"),
        (503, Severity.WARNING, "modelmax: "),
        (400, Severity.OK, "key accepted"),
    ],
)
async def test_the_answer_of_a_provider_is_judged(house, examined, status, severity, says):
    house.provider.status = status

    ran, found = await examined()

    assert [text for text in found[severity] if text.startswith("lane: ") and says in text], ran.out
    assert ran.status == (1 if severity is Severity.ERROR else 0)


async def test_offline_asks_nobody_outside(house, examined):
    ran, _ = await examined("--offline")

    assert (ran.status, house.provider.asked) == (0, [])
    assert not {"lane", "endpoint", "dns"} & {finding["area"] for finding in ran.lines}


async def test_a_clock_far_from_the_providers_is_an_error(house, examined):
    house.provider.headers = {"Date": "Sat, 21 Nov 2020 20:00:00 GMT"}

    ran, found = await examined()

    assert ran.status == 1
    assert any("ahead of the clock of 127.0.0.1" in text for text in found[Severity.ERROR])


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o622])
async def test_a_config_file_with_secrets_that_others_may_read_or_write_is_found(house, examined, mode):
    house.config.chmod(mode)

    ran, found = await examined("--offline")

    severity = Severity.NOTE if mode == 0o640 else Severity.ERROR
    assert any(f"mode {mode:04o}" in text for text in found[severity]), ran.out


async def test_files_of_the_state_folder_that_others_may_read_are_found_with_the_command_that_mends_it(house, examined):
    token = house.database.with_name("api-token")
    token.write_text("t")
    token.chmod(0o644)

    ran, found = await examined("--offline")

    assert ran.status == 1
    assert [text for text in found[Severity.ERROR] if "api-token can be read by others (mode 0644)" in text]
    assert f"chmod 600 {token}" in ran.out


async def test_a_damaged_database_is_found(house, examined):
    content = bytearray(house.database.read_bytes())
    content[4096:12000] = os.urandom(12000 - 4096)
    house.database.write_bytes(content)

    ran, found = await examined("--offline")

    assert ran.status == 1
    assert any(text.startswith("database: ") for text in found[Severity.ERROR])
    assert "pollhook restore" in ran.out


async def test_a_database_of_a_newer_version_is_found(house, examined):
    with closing(sqlite3.connect(house.database)) as connection:
        connection.execute("PRAGMA user_version = 99")

    _, found = await examined("--offline")

    assert any("has schema 99" in text for text in found[Severity.ERROR])


async def test_a_socket_that_everybody_may_use_is_found(house, examined, tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "open.sock"))
        (tmp_path / "open.sock").chmod(0o666)
        house.config.write_text(
            house.config.read_text().replace("listen = [", f'listen = ["unix:{tmp_path}/open.sock", ')
        )

        _, found = await examined("--offline")

    assert any("everybody on this machine may use" in text for text in found[Severity.ERROR])


async def test_an_endpoint_where_nobody_listens_and_a_name_that_nobody_knows_are_found(house, examined):
    house.write('[endpoints.gone]\nurl = "http://127.0.0.1:1/x"\n[endpoints.typo]\nurl = "https://nowhere.invalid/"\n')

    ran, found = await examined()

    assert ran.status == 1
    assert "endpoint: gone: 127.0.0.1:1: Connection refused" in found[Severity.ERROR]
    assert any(text.startswith("dns: nowhere.invalid: ") for text in found[Severity.ERROR])


async def test_what_the_daemon_says_of_lanes_and_endpoints_is_passed_on(house, examined):
    lane = {"name": "amux", "state": "parked", "reason": "401", "unknown_words": ["WARMING"]}
    house.api.on("GET", "/v1/providers", {"data": [lane], "next": None})
    house.api.on(
        "GET", "/v1/endpoints", {"data": [{"name": "x", "state": "failing", "reason": "500", "dead": 3}], "next": None}
    )

    _, found = await examined("--offline")

    assert "daemon: lane amux is parked: 401" in found[Severity.ERROR]
    assert "daemon: endpoint x is failing: 500" in found[Severity.ERROR]
    assert any("WARMING" in text for text in found[Severity.WARNING])
    assert "daemon: endpoint x: 3 deliveries were given up" in found[Severity.WARNING]


async def test_a_daemon_that_does_not_run_is_a_warning_and_a_refused_token_an_error(house, examined, pollhook):
    house.api.token = "another"
    _, refused = await examined("--offline")
    house.api.address = "127.0.0.1:1"
    _, absent = await examined("--offline")

    assert any("does not accept the API token" in text for text in refused[Severity.ERROR])
    assert any("no daemon at 127.0.0.1:1" in text for text in absent[Severity.WARNING])


async def test_a_bad_configuration_is_told_line_by_line_and_ends_the_examination(house, examined):
    house.write("[polling]\nmax_task = 3\n")

    ran, found = await examined()

    assert (ran.status, len(found[Severity.ERROR]), len(ran.lines)) == (1, 1, 1)
    assert "max_tasks" in ran.out


async def test_people_read_what_to_do_below_what_was_seen(house, pollhook):
    house.config.chmod(0o644)

    ran = await pollhook("doctor", "--config", str(house.config), "--offline")

    line = next(n for n, text in enumerate(ran.out.splitlines()) if text.startswith("error    config: "))
    assert ran.out.splitlines()[line + 1].startswith("         chmod o-rwx ")
    assert "1 error" in ran.err


def test_a_clock_behind_the_files_it_wrote_is_an_error(tmp_path):
    (tmp_path / "p.db").touch()

    [finding] = clock(tmp_path, now_at=time.time() - 7200)

    assert (finding.severity, "files were written at" in finding.text) == (Severity.ERROR, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, []),
        ({"Type": "simple"}, ["Type=simple"]),
        ({"WatchdogUSec": "0"}, ["no watchdog"]),
        ({"Restart": "no"}, ["Restart=no"]),
        ({"DynamicUser": "no", "User": ""}, ["runs as root"]),
        ({"LimitNOFILE": "1024"}, ["LimitNOFILE=1024"]),
        ({"NeedDaemonReload": "yes"}, ["not loaded"]),
        ({"Result": "watchdog"}, ["ended by watchdog"]),
        ({"UnitFileState": "disabled"}, ["at boot"]),
        ({"NRestarts": "7"}, ["restarted 7 times"]),
    ],
)
def test_settings_of_the_unit_that_would_hurt_are_named(change, says):
    found = judged(GOOD_UNIT | change, Settings())

    assert [part in finding.text for part, finding in zip(says, found, strict=True)] == [True] * len(says)
