import asyncio
import logging
import os
import socket
import stat
import subprocess
import sys

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs

from daemon.api import connection
from daemon.api.listeners import open_listeners
from daemon.api.sockets import address_of, inherited_sockets, open_socket
from daemon.core.errors import Fault

BODY = {"provider": "amux", "remote_id": "abcd"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "api.sock"


async def _over_unix(path, method="GET", target="/v1/tasks", **options):
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.request(method, f"http://anything{target}", **options) as response,
    ):
        return response.status, await response.json()


async def test_a_unix_socket_needs_no_token_and_no_host_and_has_mode_0660(serve, path):
    await serve(specs=[f"unix:{path}"])

    status, _ = await _over_unix(path)

    assert status == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_a_browser_mark_is_refused_on_a_unix_socket_too(serve, path):
    await serve(specs=[f"unix:{path}"])

    assert (await _over_unix(path, headers={"Origin": "null"}))[0] == 403


async def test_the_user_behind_a_change_over_a_unix_socket_is_logged(serve, path):
    await serve(specs=[f"unix:{path}"])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

    with capture_logs() as logs:
        await _over_unix(path)
        await _over_unix(path, "POST", json=BODY)

    calls = [line for line in logs if line["event"] == "api.called"]
    assert [(line["method"], line["status"], line["uid"]) for line in calls] == [("POST", 201, os.getuid())]


async def test_a_stale_socket_file_is_replaced_with_the_right_mode(serve, path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    path.chmod(0o777)

    await serve(specs=[f"unix:{path}"])

    assert (await _over_unix(path))[0] == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_a_socket_somebody_listens_on_is_left_alone(serve, path, make_api):
    await serve(specs=[f"unix:{path}"])
    _, app = make_api()

    with pytest.raises(Fault, match="another process listens there"):
        await open_listeners(app, [f"unix:{path}"])

    assert (await _over_unix(path))[0] == 200


async def test_a_symlink_where_the_socket_should_stand_is_refused(make_api, tmp_path, path):
    path.symlink_to(tmp_path / "elsewhere")
    _, app = make_api()

    with pytest.raises(Fault, match="symlink"):
        await open_listeners(app, [f"unix:{path}"])

    assert path.is_symlink()


async def test_a_file_where_the_socket_should_stand_is_refused_and_kept(make_api, path):
    path.write_text("precious")
    _, app = make_api()

    with pytest.raises(Fault, match="no socket"):
        await open_listeners(app, [f"unix:{path}"])

    assert path.read_text() == "precious"


async def test_closing_removes_our_socket_file_and_no_other(serve, path):
    first = await serve(specs=[f"unix:{path}"])
    await first.listeners.close(0.1)
    gone = not path.exists()
    second = await serve(specs=[f"unix:{path}"])
    path.unlink()
    path.write_text("somebody else's")

    await second.listeners.close(0.1)

    assert gone
    assert path.read_text() == "somebody else's"


async def test_a_port_in_use_is_named_with_what_to_do(serve, make_api):
    api = await serve()
    _, app = make_api()

    with pytest.raises(Fault, match=rf"127\.0\.0\.1:{api.port}: it is in use; .*\[server\] listen"):
        await open_listeners(app, [f"127.0.0.1:{api.port}"])


async def test_where_one_listener_cannot_be_had_none_is_left_open(serve, make_api, path):
    api = await serve()
    _, app = make_api()

    with pytest.raises(Fault):
        await open_listeners(app, [f"unix:{path}", f"127.0.0.1:{api.port}"])

    assert not path.exists()


@pytest.mark.parametrize(
    "spec", ["localhost:8710", "8710", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "::1:8710", "127.0.0.1:70000", ""]
)
def test_a_listen_address_that_is_none_says_how_to_write_one(spec):
    with pytest.raises(Fault, match=r"127\.0\.0\.1:8710"):
        open_socket(spec)


def test_addresses_are_read():
    assert address_of("[::1]:8710") == ("::1", 8710)
    assert address_of("127.0.0.1:0") == ("127.0.0.1", 0)


async def test_nothing_to_listen_on_is_a_fault(make_api):
    with pytest.raises(Fault, match="nothing to listen on"):
        await open_listeners(make_api()[1], [])


async def test_a_folder_that_is_missing_is_named(make_api, tmp_path):
    with pytest.raises(Fault, match="folder does not exist"):
        await open_listeners(make_api()[1], [f"unix:{tmp_path}/none/api.sock"])


async def test_several_listeners_serve_the_same_application(serve, path):
    specs = ["127.0.0.1:0", f"unix:{path}"]
    if socket.has_ipv6:
        specs.append("[::1]:0")
    api = await serve(specs=specs)

    await api.register()

    assert len((await _over_unix(path))[1]["data"]) == 1
    assert len(api.listeners.addresses) == len(specs)
    for address in api.listeners.addresses:
        if not address.startswith("unix:"):
            async with api.session.get(f"http://{address}/healthz") as response:
                assert response.status == 200


async def test_an_inherited_socket_is_served(make_api):
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    _, app = make_api()

    listeners = await open_listeners(app, [], inherited=[sock])

    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as response:
        assert response.status == 200
    await listeners.close(0.1)


def test_sockets_meant_for_another_process_are_not_taken():
    assert inherited_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, os.getpid()) == []
    assert inherited_sockets({}, os.getpid()) == []
    assert inherited_sockets({"LISTEN_FDS": "x", "LISTEN_PID": "7"}, 7) == []


def test_sockets_passed_by_systemd_are_taken_by_their_numbers():
    script = (
        "import os, sys; from daemon.api.sockets import inherited_sockets\n"
        "os.dup2(int(sys.argv[1]), 3); pid = os.getpid()\n"
        "socks = inherited_sockets({'LISTEN_FDS': '1', 'LISTEN_PID': str(pid)}, pid)\n"
        "print(socks[0].getsockname()[1], os.get_inheritable(3))"
    )

    with socket.create_server(("127.0.0.1", 0)) as sock:
        run = [sys.executable, "-c", script, str(sock.fileno())]
        said = subprocess.run(run, pass_fds=[sock.fileno()], capture_output=True, text=True, check=True)
        port = sock.getsockname()[1]

    assert said.stdout.split() == [str(port), "False"]


async def _connected(api, target="/v1/tasks", *, token=None):
    """Return a connection on which one call was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n{authorization}\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: "))
    await reader.readexactly(int(length.removeprefix(b"content-length: ")))
    return reader, writer


async def test_a_stranger_may_idle_shortly_and_a_caller_who_was_let_in_longer(serve, monkeypatch):
    monkeypatch.setattr(connection, "STRANGER_SECONDS", 0.05)
    api = await serve()
    known, keeping = await _connected(api, token=api.token)

    for target, token in (("/healthz", None), ("/healthz", "wrong"), ("/v1/tasks", "wrong")):
        stranger, writer = await _connected(api, target, token=token)
        assert await asyncio.wait_for(stranger.read(-1), 5) == b""
        writer.close()

    assert not known.at_eof()
    keeping.close()


async def test_a_caller_who_was_let_in_may_not_idle_for_ever(serve, monkeypatch):
    monkeypatch.setattr(connection, "STRANGER_SECONDS", 0.05)
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", 0.1)
    api = await serve()

    known, writer = await _connected(api, token=api.token)

    assert await asyncio.wait_for(known.read(-1), 5) == b""
    writer.close()


async def test_a_unix_socket_s_caller_is_let_in_from_the_start(serve, path, monkeypatch):
    monkeypatch.setattr(connection, "STRANGER_SECONDS", 0.0)
    api = await serve(specs=[f"unix:{path}"], max_connections=1)
    _, writer = await asyncio.open_unix_connection(path)
    while not api.listeners._server.connections:
        await asyncio.sleep(0)
    await asyncio.sleep(0)

    reader, _ = await asyncio.open_unix_connection(path)

    assert b" 503 " in (await asyncio.wait_for(reader.read(-1), 5)).splitlines()[0]
    writer.close()


async def test_a_full_house_of_idle_strangers_locks_nobody_out(serve):
    api = await serve(max_connections=4)
    _, keeping = await _connected(api, token=api.token)
    strangers = [await _connected(api, "/healthz") for _ in range(3)]

    late = await _connected(api, token=api.token)
    status, _, _ = await api.call("GET", "/v1/tasks")

    assert status == 200
    assert [await asyncio.wait_for(reader.read(-1), 5) for reader, _ in strangers[:2]] == [b"", b""]
    assert not strangers[2][0].at_eof()
    for writer in (keeping, late[1], *(writer for _, writer in strangers)):
        writer.close()


async def test_a_connection_past_the_bound_is_told_so_and_closed(serve):
    api = await serve(max_connections=2)
    first = await _connected(api, token=api.token)
    second = await _connected(api, token=api.token)

    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    answer = await asyncio.wait_for(reader.read(-1), 5)

    assert b" 503 " in answer.splitlines()[0]
    assert b'"code":"too_many_connections"' in answer
    first[1].close()
    while len(api.listeners._server.connections) > 1:
        await asyncio.sleep(0)
    assert (await api.call("GET", "/healthz"))[0] == 200
    for each in (second[1], writer):
        each.close()


async def test_after_stop_accepting_nobody_new_comes_in(serve):
    api = await serve()

    api.listeners.stop_accepting()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", api.port)


async def test_close_does_not_wait_for_idle_connections(serve):
    api = await serve()
    await api.call("GET", "/healthz")

    async with asyncio.timeout(2):
        await api.listeners.close(30)


def test_under_uvloop_a_crowd_and_a_unix_peer_are_seen_as_well(make_api, path):
    uvloop = pytest.importorskip("uvloop")
    api, app = make_api()

    async def scenario():
        listeners = await open_listeners(app, ["127.0.0.1:0", f"unix:{path}"], max_connections=1)
        known = (await _over_unix(path, "POST", json=BODY))[0]
        while listeners._server.connections:
            await asyncio.sleep(0)
        port = int(listeners.addresses[0].rpartition(":")[2])
        api.port = port
        _, first = await _connected(api, token=api.token)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await reader.read(-1)
        first.close()
        writer.close()
        await listeners.close(0.1)
        return known, answer

    known, answer = uvloop.run(scenario())

    assert known == 201
    assert b" 503 " in answer.splitlines()[0]
