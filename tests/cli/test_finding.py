"""The command finds the daemon and the token by itself, and says what to do when it cannot."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import tempfile
from pathlib import Path

import pytest

EMPTY = {"data": [], "next": None}


@pytest.fixture
def config(tmp_path, api):
    def write(*listen: str, extra: str = "") -> str:
        file = tmp_path / "config.toml"
        addresses = ", ".join(f'"{text}"' for text in listen or (api.address,))
        file.write_text(f'[server]\nlisten = [{addresses}]\n[store]\npath = "{tmp_path}/pollhook.db"\n{extra}')
        return str(file)

    return write


async def test_the_token_is_found_beside_the_database(api, pollhook, config, tmp_path):
    api.on("GET", "/v1/tasks", EMPTY)
    (tmp_path / "api-token").write_text("secret-token\n")

    ran = await pollhook("tasks", "--config", config(), server=False)

    assert ran.status == 0, ran.err


async def test_a_unix_socket_is_taken_first_and_needs_no_token(api, pollhook, config, tmp_path):
    api.on("GET", "/v1/tasks", EMPTY)
    api.token = None
    written = config("127.0.0.1:1", f"unix:{tmp_path}/api.sock")

    ran = await pollhook("tasks", "--config", written, server=False)

    assert ran.status == 0, ran.err
    assert "Authorization" not in api.asked[0].headers


async def test_a_socket_that_is_not_there_gives_way_to_tcp(api, pollhook, config, tmp_path):
    api.on("GET", "/v1/tasks", EMPTY)
    written = config("unix:/nowhere/api.sock", api.address)

    ran = await pollhook("tasks", "--config", written, server=False, POLLHOOK_TOKEN="secret-token")

    assert ran.status == 0, ran.err


async def test_nobody_there_says_how_to_start_the_daemon(pollhook):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    ran = await pollhook("tasks", POLLHOOK_SERVER=f"127.0.0.1:{port}")

    assert ran.status == 1
    assert ran.err == (
        f"pollhook: no daemon at 127.0.0.1:{port}: start it with `pollhook serve` or `systemctl start pollhook`\n"
    )


async def test_a_wrong_token_says_where_it_came_from(api, pollhook, config, tmp_path):
    (tmp_path / "api-token").write_text("stale\n")

    from_file = await pollhook("tasks", "--config", config(), server=False)
    from_variable = await pollhook("tasks", POLLHOOK_TOKEN="wrong")

    assert (from_file.status, from_variable.status) == (1, 1)
    assert f"read from {tmp_path}/api-token" in from_file.err
    assert "read from $POLLHOOK_TOKEN" in from_variable.err
    assert "stale" not in from_file.err
    assert "wrong" not in from_variable.err


async def test_no_token_at_all_is_said(api, pollhook, config):
    ran = await pollhook("tasks", "--config", config(), server=False)

    assert (ran.status, "none was found" in ran.err) == (1, True)


async def test_a_stranger_behind_the_port_is_recognised(api, pollhook):
    api.on("GET", "/v1/tasks", b"<html>hello</html>")

    ran = await pollhook("tasks")

    assert (ran.status, "does not answer like Pollhook" in ran.err) == (1, True)


async def test_a_stranger_that_speaks_json_is_recognised_too(api, pollhook):
    api.on("GET", "/v1/tasks", {"error": "Not Found"}, status=404)

    ran = await pollhook("tasks")

    assert (ran.status, "does not answer like Pollhook (HTTP 404)" in ran.err) == (1, True)
    assert "--server or $POLLHOOK_SERVER" in ran.err


async def test_a_stranger_that_speaks_no_http_is_recognised(pollhook):
    async def greet(_, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        ran = await pollhook("tasks", POLLHOOK_SERVER=f"127.0.0.1:{port}")

    assert (ran.status, "does not answer like Pollhook (no HTTP)" in ran.err) == (1, True), ran.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can step down to nobody")
async def test_a_socket_that_one_may_not_use_says_which_group_may(pollhook):
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        Path(folder).chmod(0o755)
        listening.bind(f"{folder}/api.sock")
        listening.listen()
        os.chown(f"{folder}/api.sock", 0, grp.getgrnam("daemon").gr_gid)
        Path(f"{folder}/api.sock").chmod(0o660)

        ran = await pollhook("tasks", POLLHOOK_SERVER=f"unix:{folder}/api.sock", STEP_DOWN="1")

    assert ran.status == 1
    assert ran.err.splitlines() == [
        f"pollhook: you may not use the socket {folder}/api.sock",
        "  join its group, as in `usermod -aG daemon $USER` and a new login, or run this as root",
    ]


@pytest.mark.parametrize("text", ["nonsense", "https://example.com", "127.0.0.1:"])
async def test_a_bad_server_address_is_bad_usage(pollhook, text):
    ran = await pollhook("tasks", POLLHOOK_SERVER=text)

    assert (ran.status, "127.0.0.1:8710" in ran.err) == (2, True)


async def test_a_typo_in_the_config_is_exit_2_with_the_nearest_key(pollhook, config):
    written = config(extra="[polling]\nmax_task = 3\n")

    ran = await pollhook("tasks", "--config", written, server=False)

    assert ran.status == 2
    assert "max_tasks" in ran.err
    assert "Traceback" not in ran.err


async def test_the_commands_own_variables_are_no_settings(pollhook, config):
    ran = await pollhook("config", "check", "--config", config(), POLLHOOK_SECRET="whsec_x", POLLHOOK_URL="x")

    assert ran.status == 0, ran.err


async def test_a_problem_document_names_every_bad_field(api, pollhook):
    errors = [
        {"field": "deadline", "message": 'must be at most 30d, got "45d"'},
        {"field": "remote_id", "message": "remote_id is empty"},
    ]
    document = {"title": "The registration is invalid", "status": 422, "code": "invalid_registration", "detail": "two"}
    api.on("POST", "/v1/tasks", document | {"errors": errors}, status=422)

    ran = await pollhook("watch", "amux", "x")

    assert ran.status == 1
    assert ran.err.splitlines() == [
        "pollhook: The registration is invalid",
        '  deadline: must be at most 30d, got "45d"',
        "  remote_id is empty",
    ]


async def test_a_full_watchlist_says_when_to_ask_again(api, pollhook):
    document = {"title": "The watchlist is full", "status": 503, "code": "watchlist_full", "detail": "200000 tasks"}
    api.on("POST", "/v1/tasks", document | {"retry_after": 30}, status=503)

    ran = await pollhook("watch", "amux", "x")

    assert ran.err == "pollhook: The watchlist is full: 200000 tasks\n  ask again in 30 s\n"
